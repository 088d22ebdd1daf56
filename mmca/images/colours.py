"""Pixels of every mode that Pillow opens, as mmcv's ``LoadImageFromFile`` returns them."""

import cv2
import numpy as np
from PIL import Image

from .opening import BadImageError, raw_mode, turned

COLOR_TYPES = (
    'color',
    'grayscale',
    'unchanged',
    'color_ignore_orientation',
    'grayscale_ignore_orientation',
)
# Modes that color_type='unchanged' keeps; what the others become.
_KEPT = ('L', 'LA', 'RGB', 'RGBA', 'I', 'F')
_UNCHANGED = {'1': 'L', 'La': 'LA', 'PA': 'RGBA', 'RGBa': 'RGBA'}


def is_sixteen_bit(image: Image.Image) -> bool:
    """Whether an image is grey of 16 bits. Older Pillow opens PNG and PGM as mode I."""
    return image.mode.startswith('I;16') or (image.mode == 'I' and image.format in ('PNG', 'PPM'))


def refuse_mode(image: Image.Image, path: str, color_type: str = 'color') -> None:
    """Raise a BadImageError if the mode has no range that white could be told from."""
    if image.mode in ('I', 'F') and not is_sixteen_bit(image) and color_type != 'unchanged':
        raise BadImageError(
            f'{path}: mode {image.mode} (32 bits a pixel) has no value that stands for white; '
            "save it as 8- or 16-bit grey, or load its values by color_type='unchanged'"
        )


def to_array(image: Image.Image, path: str, color_type: str = 'color') -> np.ndarray:
    """The pixels of an image.

    Grey of 16 bits becomes 8 by its upper byte, as in OpenCV, and as Pillow reads 16-bit RGB.
    Alpha is dropped, as in OpenCV: colours behind it stay as they are in the file. Palettes,
    1-bit, CMYK, YCbCr and LAB become the colours they stand for.

    Args:
        image (Image.Image): From :func:`mmca.images.opening.open_image`.
        path (str): Its file, for messages.
        color_type (str): One of mmcv's. Except with ``'unchanged'`` and
            ``'*_ignore_orientation'``, images are turned as their EXIF says.

    Returns:
        np.ndarray: uint8, (H, W, 3) in BGR order or, with ``'grayscale'``, (H, W). With
        ``'unchanged'`` the file's own channels (BGR, BGRA, grey, grey and alpha) and type
        (also uint16, int32, float32).

    Raises:
        BadImageError: If the mode has no range that white could be told from.
    """
    if color_type == 'unchanged':
        return _unchanged(image, path)
    image = _eight_bit(image, path)
    if not color_type.endswith('_ignore_orientation'):
        image = turned(image)
    if color_type.startswith('grayscale'):
        return np.array(image if image.mode == 'L' else image.convert('RGB').convert('L'))
    image.load()  # only then is the mode known of all formats
    colours = image if image.mode == 'RGB' else image.convert('RGB')
    # BGR in memory, too: of a reversed view each function of OpenCV makes a copy.
    return cv2.cvtColor(np.asarray(colours), cv2.COLOR_RGB2BGR)


def _eight_bit(image: Image.Image, path: str) -> Image.Image:
    if is_sixteen_bit(image):
        shift = 4 if raw_mode(image).startswith('I;12') else 8
        values = np.asarray(image)
        if 0 < (highest := int(values.max(initial=0))) < 1 << shift:
            raise BadImageError(
                f'{path}: {8 + shift}-bit grey (mode {image.mode}) whose highest value is '
                f'{highest} of {(256 << shift) - 1}, so all of it is black; save it as 8-bit grey'
            )
        grey = Image.fromarray((values >> shift).astype(np.uint8))
        grey.info = image.info  # the EXIF
        return grey
    refuse_mode(image, path)
    if image.mode in ('RGBa', 'La'):  # premultiplied
        return image.convert(_UNCHANGED[image.mode])
    return image


def _unchanged(image: Image.Image, path: str) -> np.ndarray:
    if is_sixteen_bit(image):
        return np.asarray(image).astype(np.uint16)
    if ';16' in raw_mode(image):
        raise BadImageError(
            f'{path}: mode {image.mode} with 16 bits a channel, of which Pillow reads 8; load it '
            "by imdecode_backend='cv2', or as color_type='color'"
        )
    if image.mode not in _KEPT:
        opaque = 'RGBA' if 'transparency' in image.info else 'RGB'
        image = image.convert(_UNCHANGED.get(image.mode, opaque))
    array = np.array(image)
    if array.ndim == 3 and array.shape[2] >= 3:
        array[:, :, :3] = array[:, :, 2::-1]
    return array
