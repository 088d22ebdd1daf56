"""Verifying images in one folder per class: ``<split>/<class>/<image>``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from .verify import verify_pairs


def verify_image_folder(
    root: Path, splits: Iterable[str], images: Sequence[Path], side: int
) -> list[str]:
    """Decode every image completely, and look for what is not an image of a class.

    Args:
        root: Folder that holds the splits.
        splits: Names of the splits.
        images: All images that belong there.
        side: Height and width that they should have, in pixels.

    Returns:
        One line per problem, beginning with the path of the file or folder.
    """
    expected = {*images, *(path.parent for path in images)}
    found = {path for split in splits for path in (root / split).rglob('*')}
    strays = sorted(found - expected)
    problems = [f'{path}: does not belong here; move it elsewhere' for path in strays]
    problems += verify_pairs([(path, None) for path in images], ())
    return problems or [
        f'{path}: {size} pixels (width, height), should be {(side, side)}'
        for path, size in ((path, _size(path)) for path in images)
        if size != (side, side)
    ]


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size
