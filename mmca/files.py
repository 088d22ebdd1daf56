"""Writing files."""

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
