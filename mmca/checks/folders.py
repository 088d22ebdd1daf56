"""Files that are not where they are looked for, and what is there instead."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

_COUNTED = 20_000
_EACH = 3  # up to so many missing files are named one by one
_SHOWN = 5  # suffixes


def files_below(folder: str | Path) -> Iterator[str]:
    """Paths of the files that the libraries see: hidden ones are none."""
    for parent, _, names in os.walk(folder, followlinks=True):
        for name in names:
            if not name.startswith('.'):
                yield os.path.join(parent, name)


def dead_links(folder: str | Path) -> list[str]:
    """Links below a folder that lead nowhere, or to themselves, at which the libraries stop."""
    return sorted(p for p in files_below(folder) if os.path.islink(p) and not os.path.exists(p))


def suffix_counts(folder: str | Path) -> Counter[str]:
    """How many files below a folder have each suffix, of the first 20,000 files."""
    files = zip(files_below(folder), range(_COUNTED), strict=False)
    return Counter(os.path.splitext(name)[1] or 'no suffix' for name, _ in files)


def contents(folder: str | Path) -> str:
    """What a message says of a folder, e.g. '/data/images holds 120 .JPG, 3 .txt'."""
    if not os.path.isdir(folder):
        return f'{folder} does not exist'
    common = sorted(suffix_counts(folder).items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    return f'{folder} holds ' + (', '.join(f'{n} {kind}' for kind, n in common) or 'no file')


def missing_files(wanted: Sequence[tuple[str, Path]], total: int, remedy: str) -> list[str]:
    """Lines about files that do not exist.

    Args:
        wanted: The missing files, each after the entry that names it, such as ``'image 7'``.
        total: How many files were looked for.
        remedy: What to do.
    """
    folders = [item for item in wanted if _is_folder(item[1])]
    if folders:
        entry, path = folders[0]
        more = f', like {len(folders) - 1} more' if folders[1:] else ''
        rest = [item for item in wanted if item not in folders]
        return [f'{entry}: {path} is a folder{more}: {remedy}'] + (
            missing_files(rest, total, remedy) if rest else []
        )
    if len(wanted) <= _EACH:
        return [
            f'{entry}: {path} is missing; {instead(path, alike=True)}: {remedy}'
            for entry, path in wanted
        ]
    entry, path = wanted[0]
    return [
        f'{entry}: {path} is missing, like {len(wanted) - 1} more of {total} files; '
        f'{instead(path)}: {remedy}'
    ]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no file can have
        return False


def instead(path: Path, alike: bool = False) -> str:
    """What is there: the folder's files by suffix, or with ``alike`` those of nearly the name."""
    try:
        files = sorted(Path(e) for e in os.scandir(path.parent) if e.is_file())
    except (OSError, ValueError):
        return f'{path.parent} is no folder'
    stem = path.stem.strip().lower()
    if alike and (names := [f.name for f in files if f.stem.strip().lower() == stem]):
        return f'there is {", ".join(map(repr, names[:_EACH]))}'
    if not files:
        return 'its folder holds no files'
    suffixes = Counter(file.suffix or 'without suffix' for file in files).most_common(_SHOWN)
    return f'its folder holds {", ".join(f"{count} {suffix}" for suffix, count in suffixes)}'
