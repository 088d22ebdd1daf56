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
        boxes = results['gt_bboxes'].numpy()
        wanted = np.ones(len(boxes), bool)
        if 'gt_ignore_flags' in results:
            wanted = ~results['gt_ignore_flags'].astype(bool)
        if not wanted.any():
            return results
        modes = (None, *self.min_ious, -np.inf)
        while True:
            least_iou = modes[np.random.randint(len(modes))]
            if least_iou is None:
                return results
            for _ in range(_TRIALS):
                crop = self._draw(*results['img'].shape[:2])
                if crop is None or _iou(boxes[wanted], crop).max() < least_iou:
                    continue
                inside = _centres_inside(boxes, crop)
                if (inside & wanted).any():
                    return self._crop(results, crop, inside)

    @staticmethod
    def _draw(height: int, width: int) -> np.ndarray | None:
        """A crop as whole (x1, y1, x2, y2), or None if it came out too oblong or empty."""
        w = np.random.uniform(_LEAST_SIDE * width, width)
        h = np.random.uniform(_LEAST_SIDE * height, height)
        if not 1 / _MOST_OBLONG <= h / w <= _MOST_OBLONG:
            return None
        left, top = np.random.uniform(0, width - w), np.random.uniform(0, height - h)
        crop = np.array([left, top, left + w, top + h]).astype(int)
        return crop if (crop[2:] > crop[:2]).all() else None

    @staticmethod
    def _crop(results: dict, crop: np.ndarray, inside: np.ndarray) -> dict:
        x1, y1, x2, y2 = map(int, crop)
        results['img'] = results['img'][y1:y2, x1:x2]
        results['img_shape'] = results['img'].shape[:2]
        boxes = results['gt_bboxes'][inside]
        boxes.translate_([-x1, -y1])
        boxes.clip_([y2 - y1, x2 - x1])
        results['gt_bboxes'] = boxes
        for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
            if key in results:
                results[key] = results[key][inside]
        return results

    def __repr__(self) -> str:
        return f'RandomSampleCrop(min_ious={self.min_ious})'


def _iou(boxes: np.ndarray, crop: np.ndarray) -> np.ndarray:
    sides = np.minimum(boxes[:, 2:], crop[2:]) - np.maximum(boxes[:, :2], crop[:2])
    shared = sides.clip(min=0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shared / (areas + (crop[2:] - crop[:2]).prod() - shared)


def _centres_inside(boxes: np.ndarray, crop: np.ndarray) -> np.ndarray:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return ((centres > crop[:2]) & (centres < crop[2:])).all(axis=1)
