from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmca.options import suggest_options
from mmca.registry import TRANSFORMS

_TRIALS = 50
_LEAST_SIDE = 0.3
_MOST_OBLONG = 2.0


@TRANSFORMS.register_module()
@suggest_options
class RandomSampleCrop(BaseTransform):
    """SSD's random crop (Liu et al., ECCV 2016, Sec. 2.2), as in the CA authors' SSDLite code.

    One of: the whole image; a crop whose IoU with **some** box is at least one of ``min_ious``
    (mmdet's ``MinIoURandomCrop`` demands it of every box); any crop. A crop has 0.3 to 1 of each
    side, an aspect ratio of 1/2 to 2, and the centre of at least one box; the boxes whose
    centres are in it are kept, clipped to it. Ignored boxes take no part in the choice. Images
    without boxes stay as they are.

    Required keys: ``img``, ``gt_bboxes`` (mmdet's ``HorizontalBoxes``), optionally
    ``gt_bboxes_labels`` and ``gt_ignore_flags``. Modified: these, and ``img_shape``.

    Args:
        min_ious (Sequence[float]): The IoU thresholds.
    """

    def __init__(self, min_ious: Sequence[float] = (0.1, 0.3, 0.7, 0.9)) -> None:
        for value in min_ious:
            if not 0 <= value <= 1:
                raise ValueError(f'RandomSampleCrop: min_ious={min_ious} must be between 0 and 1')
        self.min_ious = tuple(min_ious)

    def transform(self, results: dict) -> dict:
        chosen = self.choose(results, *results['img'].shape[:2])
        if chosen is not None:
            x1, y1, x2, y2 = map(int, chosen[0])
            results['img'] = results['img'][y1:y2, x1:x2]
            results['img_shape'] = results['img'].shape[:2]
            self.crop_boxes(results, *chosen)
        return results

    def choose(
        self, results: dict, height: int, width: int
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Draw a crop of an image of this size; None stands for the whole image.

        Returns:
            tuple[np.ndarray, np.ndarray] | None: Whole (x1, y1, x2, y2), and for each box of
            ``results`` whether it is kept.
        """
        boxes = results['gt_bboxes'].numpy()
        wanted = np.ones(len(boxes), bool)
        if 'gt_ignore_flags' in results:
            wanted = ~results['gt_ignore_flags'].astype(bool)
        if not wanted.any():
            return None
        modes = (None, *self.min_ious, -np.inf)
        overlaps = _Overlaps(boxes[wanted])
        while True:
            least_iou = modes[np.random.randint(len(modes))]
            if least_iou is None:
                return None
            for _ in range(_TRIALS):
                crop = self._draw(height, width)
                if crop is None or overlaps.greatest(*crop) < least_iou:
                    continue
                crop = np.array(crop)
                inside = _centres_inside(boxes, crop)
                if (inside & wanted).any():
                    return crop, inside

    @staticmethod
    def _draw(height: int, width: int) -> tuple[int, int, int, int] | None:
        """A crop as whole (x1, y1, x2, y2), or None if it came out too oblong or empty."""
        draw = np.random.random_sample  # np.random.uniform costs several times as much
        least_w, least_h = _LEAST_SIDE * width, _LEAST_SIDE * height
        w = least_w + (width - least_w) * draw()
        h = least_h + (height - least_h) * draw()
        if not 1 / _MOST_OBLONG <= h / w <= _MOST_OBLONG:
            return None
        left, top = (width - w) * draw(), (height - h) * draw()
        x1, y1, x2, y2 = int(left), int(top), int(left + w), int(top + h)
        return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None

    @staticmethod
    def crop_boxes(results: dict, crop: np.ndarray, inside: np.ndarray) -> None:
        """Keep the boxes that :meth:`choose` keeps, moved and clipped to its crop."""
        x1, y1, x2, y2 = map(int, crop)
        boxes = results['gt_bboxes'][inside]
        boxes.translate_([-x1, -y1])
        boxes.clip_([y2 - y1, x2 - x1])
        results['gt_bboxes'] = boxes
        for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
            if key in results:
                results[key] = results[key][inside]

    def __repr__(self) -> str:
        return f'RandomSampleCrop(min_ious={self.min_ious})'


class _Overlaps:
    """The IoU of boxes with one crop after the other: some forty are drawn for an image."""

    def __init__(self, boxes: np.ndarray) -> None:
        self.areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1).astype(float)
        self.x1, self.y1, self.x2, self.y2 = np.ascontiguousarray(boxes.T, float)

    def greatest(self, x1: int, y1: int, x2: int, y2: int) -> float:
        widths = np.minimum(self.x2, x2) - np.maximum(self.x1, x1)
        heights = np.minimum(self.y2, y2) - np.maximum(self.y1, y1)
        shared = np.maximum(widths, 0) * np.maximum(heights, 0)
        return (shared / (self.areas + (x2 - x1) * (y2 - y1) - shared)).max()


def _centres_inside(boxes: np.ndarray, crop: np.ndarray) -> np.ndarray:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return ((centres > crop[:2]) & (centres < crop[2:])).all(axis=1)
