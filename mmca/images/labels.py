"""The labels of a mask, and what mmseg makes of them."""

import cv2
import numpy as np
from PIL import Image

from .opening import BadImageError, raw_mode, turned

_GREATEST = 255  # mmseg keeps labels as uint8
_SHOWN = 10  # labels in a message
_IGNORED = 255  # what mmseg's reduce_zero_label and label_map turn labels into
# Pillow scales grey of 2 and 4 bits to 0-255; a mask's samples are its labels.
_SCALE = {'L;2': 85, 'L;2I': 85, 'L;4': 17, 'L;4I': 17}


def to_labels(image: Image.Image, path: str) -> np.ndarray:
    """The labels of a mask as the file holds them, (H, W) of integers of any size.

    Indices of a palette, 0 and 1 of a 1-bit image, whole numbers of a float one. The mask is
    turned as its own EXIF says, as its image is by its own.

    Raises:
        BadImageError: If pixels hold colours, or fractions.
    """
    scale = _SCALE.get(raw_mode(image))
    image = turned(image)
    array = np.asarray(image)
    if image.mode == 'PA':
        array = array[..., 0]
    return check_labels(array // scale if scale else array, path)


def check_labels(array: np.ndarray, path: str) -> np.ndarray:
    """The decoded pixels of a mask as (H, W) of integers; errors as in :func:`to_labels`."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2:
        alike = array.shape[2] >= 3 and (array[..., :3] == array[..., :1]).all()
        remedy = (
            "its channels are equal: keep one, as Image.open(path).convert('L').save(path) does"
            if alike or array.shape[2] < 3
            else 'give each colour the number of its class, and save these as 8-bit grey'
        )
        raise BadImageError(
            f'{path}: a mask of {array.shape[2]} channels; a pixel must be the number of a '
            f'class; {remedy}'
        )
    if array.dtype.kind == 'f':
        whole = np.isfinite(array) & (array == np.rint(array)) & (np.abs(array) < 2**31)
        if not whole.all():
            raise BadImageError(
                f'{path}: a mask with {array[~whole][0]:g} in it; labels are whole numbers'
            )
        return array.astype(np.int64)
    return array.astype(np.uint8) if array.dtype == bool else array


def present_labels(labels: np.ndarray) -> np.ndarray:
    """The different labels, in order."""
    if labels.dtype == np.uint8 and labels.size:  # many times faster than sorting
        bins = _GREATEST + 1
        return np.flatnonzero(cv2.calcHist([labels], [0], None, [bins], [0, bins]))
    return np.unique(labels)


def label_table(reduce_zero_label: bool, label_map: dict[int, int] | None) -> np.ndarray:
    """What mmseg's LoadAnnotations turns each label of a file into, (256,) of uint8."""
    table = np.arange(_GREATEST + 1)
    if reduce_zero_label:
        table = np.where(table % _IGNORED, table - 1, _IGNORED)
    reduced = table.copy()
    for old, new in (label_map or {}).items():
        table[reduced == old] = new
    return table.astype(np.uint8)


def outside_table(table: np.ndarray, num_classes: int, ignore_index: int) -> np.ndarray:
    """For each label of a file whether it is neither a class nor ignored, (256,) of uint8.

    Args: those of :func:`label_problem`.
    """
    return ((table >= max(num_classes, 2)) & (table != ignore_index)).astype(np.uint8)


def label_problem(
    present: np.ndarray, table: np.ndarray, num_classes: int, ignore_index: int
) -> str:
    """What to say of labels that are neither a class nor ignored; '' if there are none.

    Args:
        present (np.ndarray): The different labels of a file.
        table (np.ndarray): From :func:`label_table`.
        num_classes (int): Classes of the network; 1 stands for one output, and labels 0 and 1.
        ignore_index (int): The label that does not count.
    """
    num_labels = max(num_classes, 2)
    refused = outside_table(table, num_classes, ignore_index).astype(bool)
    known = (present >= 0) & (present <= _GREATEST)
    outside = sorted([*present[~known].tolist(), *_where(present[known], refused)])
    if not outside:
        return ''
    shown = ', '.join(map(str, outside[:_SHOWN])) + (', ...' if len(outside) > _SHOWN else '')
    first = int(np.flatnonzero(table == 0)[0]) if (table == 0).any() else 0
    return (
        f'labels [{shown}] are outside the {num_classes} classes '
        f'({first}-{first + num_labels - 1}, ignored: {ignore_index}); correct the mask, or '
        'num_classes in the config'
    )


def _where(labels: np.ndarray, chosen: np.ndarray) -> list[int]:
    return labels[chosen[labels]].tolist()


def size_problem(path: str, shape: tuple, image_path: str, image_shape: tuple) -> str:
    """What to say of a mask of another (height, width) than its image."""
    turned = (
        '; if EXIF turns the image, the mask has to lie as the turned image does'
        if tuple(shape) == tuple(image_shape)[::-1]
        else ''
    )
    return (
        f'{path}: the mask is {tuple(shape)[::-1]}, its image {image_path} '
        f'{tuple(image_shape)[::-1]} pixels (width, height); restore the pair{turned}'
    )
