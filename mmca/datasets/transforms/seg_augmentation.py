"""mmseg's augmentation of what the crop shows. A config that uses it imports this module."""

import cv2
import numpy as np
from mmcv.image.geometric import rescale_size
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import PhotoMetricDistortion as _PhotoMetricDistortion
from mmseg.datasets.transforms import RandomRotate

from mmca.options import check_at_least, suggest_options
from mmca.registry import TRANSFORMS

from .blur import RandomGaussianBlur
from .resampling import (
    Box,
    planar,
    resized_labels_part,
    resized_part,
    rotated_labels_part,
    rotated_part,
    rotation_to_source,
)

_CROPS = 10  # further ones that mmseg's RandomCrop draws
_COARSE = 8


class PhotoMetricDistortion(_PhotoMetricDistortion):
    """mmseg's, equal in every pixel, by tables of what becomes of the 256 levels."""

    def convert(self, img: np.ndarray, alpha: float = 1, beta: float = 0) -> np.ndarray:
        return cv2.LUT(img, super().convert(np.arange(256, dtype=np.uint8), alpha, beta))

    def saturation(self, img: np.ndarray) -> np.ndarray:
        if np.random.randint(2):
            factor = np.random.uniform(self.saturation_lower, self.saturation_upper)
            img = self._in_hsv(img, 1, super().convert(np.arange(256, dtype=np.uint8), factor))
        return img

    def hue(self, img: np.ndarray) -> np.ndarray:
        if np.random.randint(2):
            shift = np.random.randint(-self.hue_delta, self.hue_delta)
            img = self._in_hsv(img, 0, ((np.arange(256) + shift) % 180).astype(np.uint8))
        return img

    @staticmethod
    def _in_hsv(img: np.ndarray, channel: int, table: np.ndarray) -> np.ndarray:
        hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
        cv2.insertChannel(cv2.LUT(cv2.extractChannel(hsv, channel), table), hsv, channel)
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


@TRANSFORMS.register_module()
@suggest_options
class SegAugmentation(BaseTransform):
    """mmseg's usual augmentation in training, of those pixels alone that the crop shows.

    Equal, with the same random numbers, to the row ``RandomResize`` (``keep_ratio=True``),
    ``RandomRotate`` if ``rotate``, ``RandomCrop``, :class:`mmca.RandomGaussianBlur` if ``blur``,
    ``RandomFlip`` (horizontal), ``PhotoMetricDistortion`` if ``photometric``, ``Pad`` to the size
    of the crop: the same crop, labels and meta data, and pixels that lie beside their places by
    no more than 1/64 of a pixel of the source (1/32 where they are rotated).

    Required key: ``img``, uint8 (H, W, 3), and with ``cat_max_ratio`` below 1 ``gt_seg_map``.
    Modified: ``img`` and the masks that ``seg_fields`` names; added: ``img_shape``, ``scale``,
    ``scale_factor``, ``keep_ratio``, ``flip``, ``flip_direction``, ``pad_shape``,
    ``pad_fixed_size``, ``pad_size_divisor``.

    Args:
        scale (tuple[int, int]): Of ``RandomResize``: longer and shorter side at ratio 1.
        crop_size (tuple[int, int]): Height and width of the result.
        ratio_range (tuple[float, float]): Of ``RandomResize``.
        cat_max_ratio (float): Of ``RandomCrop``: the most that one label may fill of a crop.
        ignore_index (int): The label that does not count there.
        flip_prob (float): Probability of the flip.
        rotate (dict | None): Options of mmseg's ``RandomRotate``: prob, degree, pad_val,
            seg_pad_val.
        blur (dict | None): Options of :class:`mmca.RandomGaussianBlur`.
        photometric (dict | None): Options of mmseg's ``PhotoMetricDistortion``.
        pad_val (dict): Fill of images (``img``) and masks (``seg``) smaller than the crop.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        scale: tuple[int, int],
        crop_size: tuple[int, int],
        ratio_range: tuple[float, float] = (0.5, 2.0),
        cat_max_ratio: float = 1.0,
        ignore_index: int = 255,
        flip_prob: float = 0.5,
        rotate: dict | None = None,
        blur: dict | None = None,
        photometric: dict | None = None,
        pad_val: dict = dict(img=0, seg=255),
    ) -> None:
        for name, sides in (('scale', scale), ('crop_size', crop_size)):
            if len(sides) != 2 or min(sides) < 1:
                raise ValueError(f'SegAugmentation: {name}={sides} must be two whole numbers >= 1')
        if not 0 < ratio_range[0] <= ratio_range[1]:
            raise ValueError(f'SegAugmentation: ratio_range={ratio_range} must be 0 < low <= high')
        check_at_least('SegAugmentation', 'ignore_index', ignore_index, 0)
        self.scale = tuple(scale)
        self.crop_size = tuple(crop_size)
        self.ratio_range = tuple(ratio_range)
        self.cat_max_ratio = cat_max_ratio
        self.ignore_index = ignore_index
        self.flip_prob = flip_prob
        self.rotate = None if rotate is None else RandomRotate(**rotate)
        if self.rotate and (self.rotate.auto_bound or self.rotate.center is not None):
            raise ValueError(
                "SegAugmentation: rotate keeps the frame and its centre; use mmseg's RandomResize, "
                'RandomRotate and RandomCrop for auto_bound and center'
            )
        self.blur = None if blur is None else RandomGaussianBlur(**blur)
        self.photometric = None if photometric is None else PhotoMetricDistortion(**photometric)
        self.pad_val = dict(pad_val)

    def transform(self, results: dict) -> dict:
        image = results['img']
        height, width = image.shape[:2]
        size = self._draw_size(results, width, height)
        to_source = self._draw_rotation(size)
        labels = {key: results[key] for key in results.get('seg_fields', [])}
        box, counted = self._draw_crop(results.get('gt_seg_map'), size, to_source)
        results['img'] = self._image_part(image, size, box, to_source)
        for key, mask in labels.items():
            shown = counted if key == 'gt_seg_map' else None
            results[key] = self._mask_part(mask, size, box, to_source) if shown is None else shown
        if self.blur:
            self.blur.transform(results)
        self._flip(results, list(labels))
        if self.photometric:
            self.photometric.transform(results)
        self._pad(results, list(labels))
        return results

    def _draw_size(self, results: dict, width: int, height: int) -> tuple[int, int]:
        low, high = self.ratio_range
        ratio = np.random.random_sample() * (high - low) + low
        results['scale'] = tuple(int(side * ratio) for side in self.scale)
        size = rescale_size((width, height), results['scale'])
        results['scale_factor'] = (size[0] / width, size[1] / height)
        results['keep_ratio'] = True
        return size

    def _draw_rotation(self, size: tuple[int, int]) -> np.ndarray | None:
        rotated, degrees = self.rotate.generate_degree() if self.rotate else (False, 0)
        return rotation_to_source(size, degrees) if rotated else None

    def _draw_crop(
        self, mask: np.ndarray | None, size: tuple[int, int], to_source: np.ndarray | None
    ) -> tuple[Box, np.ndarray | None]:
        """The crop, and the mask within it if its labels had to be counted."""
        box, shown = self._draw_box(size), None
        if self.cat_max_ratio < 1:
            for _ in range(_CROPS):
                shown = self._mask_part(mask, size, box, to_source)
                if self._is_varied(shown):
                    break
                box, shown = self._draw_box(size), None
        return box, shown

    def _draw_box(self, size: tuple[int, int]) -> Box:
        (width, height), (crop_height, crop_width) = size, self.crop_size
        top = np.random.randint(0, max(height - crop_height, 0) + 1)
        left = np.random.randint(0, max(width - crop_width, 0) + 1)
        return top, min(top + crop_height, height), left, min(left + crop_width, width)

    def _is_varied(self, labels: np.ndarray) -> bool:
        """Whether there are several labels, each with less than ``cat_max_ratio`` of the crop."""
        valid = rest = labels.size - np.count_nonzero(labels == self.ignore_index)
        # Most often the commonest labels of a coarse grid, counted in full, decide it.
        coarse = np.bincount(labels[::_COARSE, ::_COARSE].ravel(), minlength=self.ignore_index + 1)
        coarse[self.ignore_index] = 0
        for label in np.argsort(-coarse)[: np.count_nonzero(coarse)]:
            count = np.count_nonzero(labels == label)
            if count / valid >= self.cat_max_ratio:
                return False
            rest -= count
            if rest / valid < self.cat_max_ratio:  # none of the others can have more
                return True
        present, counts = np.unique(labels, return_counts=True)
        counts = counts[present != self.ignore_index]
        return len(counts) > 1 and counts.max() / counts.sum() < self.cat_max_ratio

    def _image_part(
        self, image: np.ndarray, size: tuple[int, int], box: Box, to_source: np.ndarray | None
    ) -> np.ndarray:
        if to_source is None:
            return resized_part(image, size, box)
        return rotated_part(image, size, box, to_source, self.rotate.pal_val)

    def _mask_part(
        self, mask: np.ndarray, size: tuple[int, int], box: Box, to_source: np.ndarray | None
    ) -> np.ndarray:
        if to_source is None:
            return resized_labels_part(mask, size, box)
        return rotated_labels_part(mask, size, box, to_source, self.rotate.seg_pad_val)

    def _flip(self, results: dict, masks: list[str]) -> None:
        # What np.random.choice of mmcv's RandomFlip draws, which costs ten times as much.
        flipped = np.random.random_sample() < self.flip_prob
        results['flip'] = flipped
        results['flip_direction'] = 'horizontal' if flipped else None
        if flipped:
            for key in ('img', *masks):
                results[key] = cv2.flip(results[key], 1)
            if 'gt_seg_map' in masks:
                results['swap_seg_labels'] = None

    def _pad(self, results: dict, masks: list[str]) -> None:
        height, width = results['img'].shape[:2]
        below, right = self.crop_size[0] - height, self.crop_size[1] - width
        if below or right:
            for key in ('img', *masks):
                value = self.pad_val.get('img' if key == 'img' else 'seg', 0)
                results[key] = cv2.copyMakeBorder(
                    *(results[key], 0, below, 0, right, cv2.BORDER_CONSTANT), value=[value] * 3
                )
        results['img'] = planar(results['img'])
        results['pad_shape'] = results['img'].shape
        results['pad_fixed_size'] = self.crop_size[::-1]
        results['pad_size_divisor'] = None
        results['img_shape'] = results['img'].shape[:2]

    def __repr__(self) -> str:
        return (
            f'SegAugmentation(scale={self.scale}, crop_size={self.crop_size}, '
            f'ratio_range={self.ratio_range}, cat_max_ratio={self.cat_max_ratio}, '
            f'ignore_index={self.ignore_index}, flip_prob={self.flip_prob}, '
            f'rotate={self.rotate}, blur={self.blur}, photometric={self.photometric}, '
            f'pad_val={self.pad_val})'
        )
