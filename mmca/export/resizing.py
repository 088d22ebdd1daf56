"""An image of any size, resized as a config's test pipeline does.

mmcv is imported where it is used: the other parts of :mod:`mmca.export` that run files do without.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from mmca.errors import UserError
from mmca.export.metadata import ExportMetadata

# The transforms whose effect `prepare` has, with the options that decide it.
_KEPT = {
    'Resize': ('scale', 'scale_factor', 'keep_ratio', 'interpolation', 'backend'),
    'ResizeEdge': ('scale', 'edge', 'interpolation', 'backend'),
    'CenterCrop': ('crop_size',),
}


def resizing_of(transforms: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Those of a pipeline's transforms that change an image's size, for the metadata."""
    kept = []
    for transform in transforms:
        name = str(transform['type']).rpartition('.')[2]
        if name in _KEPT:
            options = {key: transform[key] for key in _KEPT[name] if key in transform}
            # As JSON gives them back.
            options = {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}
            kept.append({'type': name, **options})
    return tuple(kept)


def prepare(image: np.ndarray, metadata: ExportMetadata) -> np.ndarray:
    """Resize an image for an exported file.

    Args:
        image (np.ndarray): (H, W, 3), uint8, BGR, any size.
        metadata (ExportMetadata): The file's.

    Returns:
        np.ndarray: As the test pipeline of the file's config makes it. If the file takes one size
        alone and this is another, stretched to it.

    Raises:
        UserError: If the image is not of this kind.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UserError(
            f'an image is {image.dtype} {image.shape}: give uint8 (height, width, 3), in BGR'
        )
    for transform in metadata.resize:
        image = _STEPS[transform['type']](image, transform)
    if not metadata.dynamic and image.shape[:2] != tuple(metadata.size):
        image = _resized(image, *metadata.size, {})
    return np.ascontiguousarray(image)


def _how(transform: dict) -> dict:
    interpolation = transform.get('interpolation', 'bilinear')
    return dict(interpolation=interpolation, backend=transform.get('backend', 'cv2'))


def _resized(image: np.ndarray, height: int, width: int, transform: dict) -> np.ndarray:
    import mmcv

    return mmcv.imresize(image, (width, height), **_how(transform))


def _resize(image: np.ndarray, transform: dict) -> np.ndarray:
    import mmcv

    scale = transform.get('scale')
    if scale is None:
        return mmcv.imrescale(image, transform['scale_factor'], **_how(transform))
    scale = (scale, scale) if isinstance(scale, int) else tuple(scale)
    if transform.get('keep_ratio'):
        return mmcv.imrescale(image, scale, **_how(transform))
    return _resized(image, scale[1], scale[0], transform)


def _resize_edge(image: np.ndarray, transform: dict) -> np.ndarray:
    height, width = image.shape[:2]
    scale, edge = transform['scale'], transform.get('edge', 'short')
    if (edge == 'short' and width < height) or (edge == 'long' and width > height):
        edge = 'width'
    if edge == 'width':
        return _resized(image, int(scale * height / width), scale, transform)
    return _resized(image, scale, int(scale * width / height), transform)


def _center_crop(image: np.ndarray, transform: dict) -> np.ndarray:
    size = transform['crop_size']
    wide, high = (size, size) if isinstance(size, int) else size
    height, width = image.shape[:2]
    top = max(0, int(round((height - high) / 2)))
    left = max(0, int(round((width - wide) / 2)))
    return image[top : top + high, left : left + wide]


_STEPS = {'Resize': _resize, 'ResizeEdge': _resize_edge, 'CenterCrop': _center_crop}
