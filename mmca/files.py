"""Writing files whole; files that are not what their name says."""

import os
from collections.abc import Iterable
from pathlib import Path


def partial_of(path: Path) -> Path:
    """What a kill may leave of :func:`write_atomic`, until the same file is written again."""
    # Hidden and without the suffix, so that nothing takes it for the file.
    return path.with_name(f'.{path.name}.partial')


def write_atomic(path: str | Path, content: bytes, durable: bool = False) -> None:
    """Write a file that is whole or absent, also after a kill; makes its folder.

    Args:
        path (str | Path): File to write; an existing one is replaced.
        content (bytes): What it is to hold.
        durable (bool): Wait until the disk has it, so that the same holds after a power failure.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    with open(partial, 'wb') as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.replace(partial, path)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write text lines atomically."""
    write_atomic(path, ''.join(f'{line}\n' for line in lines).encode())


def stand_in(beginning: bytes) -> str:
    """What a file is that others have put in place of the one that is meant; '' if nothing known.

    Args:
        beginning (bytes): Its first bytes, 40 or more.
    """
    if beginning.startswith(b'version https://git-lfs'):
        return 'it is a pointer of Git LFS, fetch the file itself with `git lfs pull`'
    if beginning.lstrip().lower().startswith((b'<!doctype html', b'<html')):
        return 'it is a web page, perhaps of a log-in or an error: download the file itself'
    return ''
