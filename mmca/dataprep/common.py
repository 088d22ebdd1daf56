"""What the dataset modules share: the error, published lists, copying."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmca.errors import UserError
from mmca.files import write_atomic
from mmca.progress import track


class PrepareError(UserError):
    """The dataset cannot be prepared; the message says what is wrong, where and what to do."""


def read_lines(path: Path) -> list[str]:
    """First words of the non-blank lines of a published list, ``name`` or ``name 1``.

    Not how a training reads a list, see `mmca.checks.lists`.
    """
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()]


def copy_files(files: Sequence[Path], source: Path, root: Path) -> None:
    """Copy files below ``source`` to the same places below ``root``, where they are missing."""
    for path in track(files, f'copying {source}'):
        copy = root / path.relative_to(source)
        if not copy.exists():
            write_atomic(copy, path.read_bytes())
