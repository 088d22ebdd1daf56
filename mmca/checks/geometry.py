"""Where boxes lie in their images, and what only many of them show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from .findings import FLAT, OUTSIDE, TINY

UNKNOWN = (np.inf, np.inf)  # size of an image
_SLACK = 0.5  # pixels; COCO's coordinates are rounded
_LEAST_VISIBLE = 0.01  # pixels; a box clipped to less has no logarithm in float32
_SOME, _MOST = 0.2, 0.5  # of the boxes


class Boxes:
    """Boxes of a dataset, looked at together: there may be a million.

    Args:
        last: How far x2 and y2 lie before the end of a box: 1 if they are the last pixel's.
    """

    def __init__(self, last: int = 0) -> None:
        self._last = last
        self._entries: list[object] = []
        self._boxes: list[np.ndarray] = []
        self._sizes: list[np.ndarray] = []

    def add(self, entry: object, box: Sequence[float], size: Sequence[float] | None) -> None:
        """Add a box.

        Args:
            entry: What names it in messages.
            box: Its x1, y1, width, height in pixels from 0.
            size: Width and height of its image; None if unknown.
        """
        self.extend([entry], np.array([box], np.float64), np.array([size or UNKNOWN], np.float64))

    def extend(self, entries: Sequence[object], boxes: np.ndarray, sizes: np.ndarray) -> None:
        """Add several: (N, 4) and (N, 2) for :meth:`add`; an unknown size is ``UNKNOWN``."""
        self._entries += entries
        self._boxes.append(boxes)
        self._sizes.append(sizes)

    def examine(self, counts: Counter[str], mistakable: bool) -> tuple[list[str], str | None]:
        """Count special boxes.

        Args:
            counts: To add to.
            mistakable: Whether width and height may have been mistaken for x2 and y2.

        Returns:
            A line for each box that lies outside its image, and what is wrong with many of them.
        """
        if not self._entries:
            return [], None
        boxes = np.concatenate(self._boxes)
        first, extent = boxes[:, :2], boxes[:, 2:]
        size = np.concatenate(self._sizes)
        least = extent.min(1)
        visible = (np.minimum(first + extent, size) - np.maximum(first, 0)).min(1)
        outside = (least > 0) & (visible < _LEAST_VISIBLE)
        beyond = (first + extent + self._last > size + _SLACK).any(1) & ~outside
        before = (first < -_SLACK).any(1) & ~outside
        counts['boxes'] += len(boxes)
        counts[FLAT] += int((least <= 0).sum())
        counts[TINY] += int(((least > 0) & (least < 1)).sum())
        counts[OUTSIDE] += int((beyond | before).sum())
        lines = [
            f'{self._entries[i]}: its box lies outside its image of '
            f'{size[i, 0]:g}x{size[i, 1]:g} pixels'
            for i in np.flatnonzero(outside)
        ]
        fit = ((first < extent) & (extent <= size + _SLACK)).all(1)
        return lines, _systematic(int(beyond.sum()), len(boxes), mistakable and bool(fit.all()))


def _systematic(beyond: int, total: int, fit_as_corners: bool) -> str | None:
    found = f'{beyond} of {total} boxes reach out of their images'
    if fit_as_corners and beyond >= _SOME * total:
        return f'{found}, and all fit as x1, y1, x2, y2: give x, y, width, height'
    if beyond > _MOST * total:
        return f'{found}: were they drawn in images of another size?'
    return None
