"""Verifying images and label maps."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from mmca.progress import track

from .common import PrepareError

Pair = tuple[Path, Path | None]

_MAX_SHOWN = 20


def verify_pairs(pairs: Sequence[Pair], labels: Collection[int]) -> list[str]:
    """Decode every image and its mask completely.

    Args:
        pairs: Image and mask paths; the mask may be None.
        labels: Allowed values of masks, of 0 to 255.

    Returns:
        One line per problem, beginning with the path of the file.
    """
    # Pillow decodes without holding the interpreter's lock.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = pool.map(lambda pair: _pair_problem(*pair, labels), pairs)
        return [line for line in track(found, 'verifying images', len(pairs)) if line]


def _decode(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def _pair_problem(image_path: Path, mask_path: Path | None, labels: Collection[int]) -> str | None:
    path = image_path
    try:
        image = _decode(path)
        if mask_path is None:
            return None
        path = mask_path
        mask = _decode(path)
    except FileNotFoundError:
        return f'{path}: missing'
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        return f'{path}: cannot be decoded ({error})'
    if mask.mode not in ('L', 'P'):
        return f'{path}: mode {mask.mode}, should be one 8-bit label per pixel'
    if mask.size != image.size:
        return f'{path}: {mask.size} pixels (width, height), but its image has {image.size}'
    present = [label for label, count in enumerate(mask.histogram()) if count]
    if foreign := sorted(set(present) - set(labels)):
        return f'{path}: labels {foreign} are not labels of this dataset'
    return None


def verify_counts(found: dict[str, int], expected: dict[str, int]) -> list[str]:
    """One line per split whose number of images is not the published one."""
    return [
        f'{split}: {found.get(split, 0)} images, should be {count}'
        for split, count in expected.items()
        if found.get(split, 0) != count
    ]


def report(root: Path, problems: Sequence[str], remedy: str, summary: Callable[[], str]) -> None:
    """Print the summary if there are no problems.

    Raises:
        PrepareError: There are problems; it lists them and ends with the remedy.
    """
    if problems:
        lines = [f'{root} has {len(problems)} problem(s):', *problems[:_MAX_SHOWN]]
        if len(problems) > _MAX_SHOWN:
            lines.append(f'... and {len(problems) - _MAX_SHOWN} more')
        raise PrepareError('\n    '.join(lines) + f'\n{remedy}')
    print(f'{root} is complete: {summary()}')
