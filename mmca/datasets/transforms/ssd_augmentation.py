"""SSD's augmentation as one resampling. A config that uses it imports this module."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_random_params
from mmdet.datasets.transforms import Expand, PhotoMetricDistortion, RandomFlip

from mmca.options import suggest_options
from mmca.registry import TRANSFORMS

from .random_sample_crop import RandomSampleCrop
from .resampling import planar


class _Window(NamedTuple):
    """What is seen of an image: a rectangle of whole pixels, which may reach beyond it."""

    left: int
    top: int
    width: int
    height: int


@TRANSFORMS.register_module()
@suggest_options
class SSDAugmentation(BaseTransform):
    """SSD's training augmentation (Liu et al., ECCV 2016, Sec. 2.2 and 3.6) without its canvas.

    Equal, with the same random numbers, to the row ``PhotoMetricDistortion``, ``Expand``,
    :class:`mmca.RandomSampleCrop`, ``RandomFlip`` (horizontal), ``Resize`` (bilinear, not keeping
    the ratio) of mmdet: the same boxes, labels and meta data, and pixels that differ by
    0.01 of 255 levels on average. Expansion, crop and flip are drawn first; what is seen is then
    resampled once, and colours are changed in the result.

    Required keys: ``img``, uint8 (H, W, 3), and ``gt_bboxes`` (``HorizontalBoxes``), optionally
    ``gt_bboxes_labels`` and ``gt_ignore_flags``. Modified: these, ``img`` to float32
    (scale[1], scale[0], 3); added: ``img_shape``, ``scale``, ``scale_factor``, ``keep_ratio``,
    ``flip``, ``flip_direction``.

    Args:
        scale (tuple[int, int]): Width and height of the result.
        photometric (dict | None): Options of mmdet's ``PhotoMetricDistortion``.
        expand (dict | None): Options of mmdet's ``Expand``.
        min_ious (Sequence[float]): The IoU thresholds of :class:`mmca.RandomSampleCrop`.
        flip_prob (float): Probability of the flip.

    Raises:
        ValueError: If there are masks, which these steps would not follow.
    """

    def __init__(
        self,
        scale: tuple[int, int],
        photometric: dict | None = None,
        expand: dict | None = None,
        min_ious: Sequence[float] = (0.1, 0.3, 0.7, 0.9),
        flip_prob: float = 0.5,
    ) -> None:
        if len(scale) != 2 or min(scale) < 1:
            raise ValueError(f'SSDAugmentation: scale={scale} must be (width, height)')
        self.scale = tuple(scale)
        self.photometric = PhotoMetricDistortion(**(photometric or {}))
        self.expand = Expand(**(expand or {}))
        self.crop = RandomSampleCrop(min_ious=min_ious)
        self.flip = RandomFlip(prob=flip_prob)

    def transform(self, results: dict) -> dict:
        for key in ('gt_masks', 'gt_seg_map'):
            if results.get(key) is not None:
                raise ValueError(
                    f"SSDAugmentation: {key} would not follow the boxes; use mmdet's Expand, "
                    'mmca.RandomSampleCrop, RandomFlip and Resize'
                )
        with cache_random_params([self.photometric]):
            self.photometric._random_flags()  # first, as in the row; used when colours change
            window = self._draw_window(results)
            flipped = self._flip(results, window)
            results['img'] = planar(self._resample(results['img'], window, flipped))
        self._resize_boxes(results, window)
        return results

    def _draw_window(self, results: dict) -> _Window:
        """Draw expansion and crop, and move the boxes along."""
        height, width = results['img'].shape[:2]
        boxes, left, top = results['gt_bboxes'], 0, 0
        if self.expand._random_prob() <= self.expand.prob:
            ratio = self.expand._random_ratio()
            left, top = self.expand._random_left_top(ratio, height, width)
            height, width = int(height * ratio), int(width * ratio)
            boxes.translate_([left, top])
        chosen = self.crop.choose(results, height, width)
        if chosen is None:
            return _Window(-left, -top, width, height)
        self.crop.crop_boxes(results, *chosen)
        x1, y1, x2, y2 = map(int, chosen[0])
        return _Window(x1 - left, y1 - top, x2 - x1, y2 - y1)

    def _flip(self, results: dict, window: _Window) -> bool:
        direction = self.flip._choose_direction()
        results['flip'] = direction is not None
        results['flip_direction'] = direction
        if direction is not None:
            results['gt_bboxes'].flip_((window.height, window.width), direction)
        return results['flip']

    def _resize_boxes(self, results: dict, window: _Window) -> None:
        width, height = self.scale
        results['scale'] = self.scale
        results['img_shape'] = (height, width)
        results['scale_factor'] = (width / window.width, height / window.height)
        results['keep_ratio'] = False
        results['gt_bboxes'].rescale_(results['scale_factor'])
        results['gt_bboxes'].clip_(results['img_shape'])

    def _resample(self, image: np.ndarray, window: _Window, flipped: bool) -> np.ndarray:
        height, width = image.shape[:2]
        x1, y1 = max(window.left, 0), max(window.top, 0)
        x2 = min(window.left + window.width, width)
        y2 = min(window.top + window.height, height)
        seen = image[y1:y2, x1:x2]
        if (x2 - x1, y2 - y1) == window[2:]:
            small = cv2.resize(seen.astype(np.float32), self.scale)
            return self._coloured(small[:, ::-1] if flipped else small)
        columns = _positions(window.left - x1, window.width, self.scale[0])
        rows = _positions(window.top - y1, window.height, self.scale[1])
        if flipped:
            columns = columns[::-1]
        share_x, share_y = _share_inside(columns, x2 - x1), _share_inside(rows, y2 - y1)
        across, down = _extent(share_x), _extent(share_y)
        mean = np.array(self.expand.mean, np.float32)
        if not seen.size or across.start == across.stop or down.start == down.stop:
            return np.tile(mean, (len(rows), len(columns), 1))
        maps = np.broadcast_arrays(columns[None, across], rows[down, None])
        part = self._coloured(
            cv2.remap(
                seen.astype(np.float32), *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
        )
        # The mean is not distorted: what lies partly on it is mixed after the colours changed.
        for lines, share in (
            (part.transpose(1, 0, 2), share_x[across]),
            (part, share_y[down]),
        ):
            mixed = np.flatnonzero(share < 1)
            lines[mixed] = mean + (lines[mixed] - mean) * share[mixed, None, None]
        return cv2.copyMakeBorder(
            part,
            down.start,
            len(rows) - down.stop,
            across.start,
            len(columns) - across.stop,
            cv2.BORDER_CONSTANT,
            value=mean.tolist(),
        )

    def _coloured(self, image: np.ndarray) -> np.ndarray:
        return self.photometric.transform(dict(img=image))['img']

    def __repr__(self) -> str:
        return (
            f'SSDAugmentation(scale={self.scale}, photometric={self.photometric}, '
            f'expand={self.expand}, min_ious={self.crop.min_ious}, flip_prob={self.flip.prob})'
        )


def _positions(start: int, length: int, count: int) -> np.ndarray:
    """Where the pixels of a result of ``count`` lie in ``start`` to ``start + length``."""
    places = (np.arange(count) + 0.5) * (length / count) - 0.5
    return (places.clip(0, length - 1) + start).astype(np.float32)


def _share_inside(places: np.ndarray, length: int) -> np.ndarray:
    """How much of the weight of the two pixels around each place is on the ``length`` pixels."""
    outside = np.maximum(-places, places - (length - 1))
    return (1 - outside).clip(0, 1)


def _extent(share: np.ndarray) -> slice:
    seen = np.flatnonzero(share)
    return slice(seen[0], seen[-1] + 1) if len(seen) else slice(0, 0)
