"""RandomResizedCrop of mmpretrain at the scale it needs. A config that uses it imports this."""

import cv2
import numpy as np
from mmpretrain.datasets.transforms import RandomResizedCrop
from PIL import Image

from mmca.images.colours import to_array
from mmca.images.opening import (
    BadImageError,
    displayed_size,
    is_upright,
    naming_file,
    open_image,
)
from mmca.options import suggest_options
from mmca.registry import TRANSFORMS

from .loading import LoadImageFromFile
from .resampling import planar

_SCALES = (8, 4, 2)  # that libjpeg decodes at for less than the whole


@TRANSFORMS.register_module()
@suggest_options
class LoadRandomResizedCrop(LoadImageFromFile):
    """:class:`mmca.LoadImageFromFile` and mmpretrain's ``RandomResizedCrop`` in one.

    The crop is drawn from the size that the file's header says, with the same random numbers. A
    JPEG whose crop is at least 2, 4 or 8 times as large as the result in both directions is
    decoded at 1/2, 1/4 or 1/8 of its size (libjpeg's scaled decoding, by Pillow's ``draft``): its
    pixels then differ by 1 of 255 levels on average. All others are equal to those of the two
    transforms with ``backend='pillow'`` and ``interpolation='bilinear'``.

    Required key: ``img_path``. Added: ``img``, uint8 (scale[0], scale[1], 3) in BGR order,
    ``img_shape``, and ``ori_shape``, (H, W) of the whole image.

    Args:
        scale (int | tuple[int, int]): Height and width of the result.
        crop_ratio_range (tuple[float, float]): Share of the image's area that a crop has.
        aspect_ratio_range (tuple[float, float]): Width of a crop by its height.
        flip_prob (float | None): Probability of flipping the crop horizontally, drawn as mmcv's
            ``RandomFlip`` after this transform would; then ``flip`` and ``flip_direction`` are
            added, too.
        reduced (bool): Whether to decode at a reduced scale where the crop allows it.
        **kwargs: Other options of mmcv's ``LoadImageFromFile``.

    Raises:
        BadImageError: If the image is missing, damaged, or cannot be read as it is meant.
    """

    def __init__(
        self,
        scale: int | tuple[int, int],
        crop_ratio_range: tuple[float, float] = (0.08, 1.0),
        aspect_ratio_range: tuple[float, float] = (3 / 4, 4 / 3),
        flip_prob: float | None = None,
        reduced: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.crop = RandomResizedCrop(
            scale=scale,
            crop_ratio_range=crop_ratio_range,
            aspect_ratio_range=aspect_ratio_range,
            backend='pillow',
        )
        self.flip_prob = flip_prob
        self.reduced = reduced

    def transform(self, results: dict) -> dict | None:
        path = results['img_path']
        try:
            with naming_file(path), open_image(path, self._read(path)) as image:
                width, height = displayed_size(image)
                # RandomResizedCrop asks for the image's shape alone.
                shape = np.broadcast_to(np.uint8(0), (height, width, 3))
                top, left, crop_height, crop_width = self.crop.rand_crop_params(shape)
                box = (left, top, left + crop_width, top + crop_height)
                array = self._decode_part(image, path, box)
        except BadImageError:
            if self.ignore_empty:
                return None
            raise
        if self.flip_prob is not None:
            # What np.random.choice of RandomFlip draws, which costs ten times as much.
            flipped = np.random.random_sample() < self.flip_prob
            results['flip'] = flipped
            results['flip_direction'] = 'horizontal' if flipped else None
            array = cv2.flip(array, 1) if flipped else array
        array = array.astype(np.float32) if self.to_float32 else array
        results['img'] = planar(array) if array.ndim == 3 and array.shape[2] == 3 else array
        results['img_shape'] = array.shape
        results['ori_shape'] = (height, width)
        return results

    def _decode_part(
        self, image: Image.Image, path: str, box: tuple[int, int, int, int]
    ) -> np.ndarray:
        height, width = self.crop.scale
        is_plain = image.format == 'JPEG' and image.mode == 'RGB' and is_upright(image)
        if not is_plain or self.color_type != 'color':
            whole = Image.fromarray(to_array(image, path, self.color_type))
            return np.array(whole.crop(box).resize((width, height), Image.Resampling.BILINEAR))
        scale = self._reduce(image, box)
        inner = tuple(edge / scale for edge in box)
        outer = (int(inner[0]), int(inner[1]), *(int(np.ceil(edge)) for edge in inner[2:]))
        within = tuple(edge - outer[i % 2] for i, edge in enumerate(inner))
        part = image.crop(outer).resize((width, height), Image.Resampling.BILINEAR, box=within)
        return cv2.cvtColor(np.asarray(part), cv2.COLOR_RGB2BGR)

    def _reduce(self, image: Image.Image, box: tuple[int, int, int, int]) -> int:
        """Have a JPEG decoded at 1/2, 1/4 or 1/8; returns 2, 4 or 8, or 1 for its full size."""
        height, width = self.crop.scale
        spare = min((box[2] - box[0]) // width, (box[3] - box[1]) // height)
        scale = next((scale for scale in _SCALES if scale <= spare), 1)
        if not self.reduced or scale == 1:
            return 1
        image.draft(None, (image.width // scale, image.height // scale))
        return scale

    def __repr__(self) -> str:
        return (
            f'LoadRandomResizedCrop({self.crop!r}, flip_prob={self.flip_prob}, '
            f'reduced={self.reduced}, color_type={self.color_type!r})'
        )
