"""Parts of resized and rotated images, made without the rest of them."""

import math

import cv2
import numpy as np

Box = tuple[int, int, int, int]  # y1, y2, x1, x2
# How far, in pixels of the source, a part may lie beside its place in the whole: as far as
# OpenCV's remapping rounds places.
_TOLERANCE = 1 / 64


def planar(image: np.ndarray) -> np.ndarray:
    """A picture, (H, W, 3), whose channels lie in memory one after the other.

    The libraries' packing, which transposes, then copies nothing.
    """
    planes = np.empty((3, *image.shape[:2]), image.dtype)
    cv2.split(image, list(planes))
    return planes.transpose(1, 2, 0)


def resized_part(image: np.ndarray, size: tuple[int, int], box: Box) -> np.ndarray:
    """Equal to ``cv2.resize(image, size)[y1:y2, x1:x2]`` within 1/64 of a pixel of the source.

    OpenCV resizes from a whole pixel on: a part has to begin where a pixel of the result falls on
    one of the source, nearly, and is cropped to ``box`` afterwards. The first pixel always does.

    Args:
        image (np.ndarray): (H, W) or (H, W, C).
        size (tuple[int, int]): Width and height of the whole result.
        box (tuple[int, int, int, int]): y1, y2, x1, x2 in the result.
    """
    y1, y2, x1, x2 = box
    top, rows, factor_y = _source_range(image.shape[0], size[1], y1, y2)
    left, columns, factor_x = _source_range(image.shape[1], size[0], x1, x2)
    part = cv2.resize(image[rows, columns], None, fx=factor_x, fy=factor_y)
    return part[y1 - top : y2 - top, x1 - left : x2 - left]


def resized_labels_part(labels: np.ndarray, size: tuple[int, int], box: Box) -> np.ndarray:
    """Equal to ``cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)[y1:y2, x1:x2]``."""
    y1, y2, x1, x2 = box
    rows = _nearest(labels.shape[0], size[1], y1, y2)
    columns = _nearest(labels.shape[1], size[0], x1, x2)
    return labels[rows].take(columns, axis=1)


def rotation_to_source(size: tuple[int, int], degrees: float) -> np.ndarray:
    """Where the pixels of ``mmcv.imrotate(image, degrees)`` come from, as a (2, 3) matrix."""
    centre = ((size[0] - 1) * 0.5, (size[1] - 1) * 0.5)
    return cv2.invertAffineTransform(cv2.getRotationMatrix2D(centre, -degrees, 1.0))


def rotated_part(
    image: np.ndarray, size: tuple[int, int], box: Box, to_source: np.ndarray, fill: float
) -> np.ndarray:
    """A part of an image that is resized and then rotated within its frame, bilinearly.

    Args:
        image (np.ndarray): (H, W) or (H, W, C).
        size (tuple[int, int]): Width and height after resizing, and after rotating.
        box (tuple[int, int, int, int]): y1, y2, x1, x2 in the result.
        to_source (np.ndarray): From :func:`rotation_to_source`.
        fill (float): What lies outside of the image.
    """
    y1, y2, x1, x2 = box
    seen = _seen(size, box, to_source)
    matrix = _between(to_source, (x1, y1), (seen[2], seen[0]))
    part = resized_part(image, size, seen)
    return _warped(part, matrix, (x2 - x1, y2 - y1), cv2.INTER_LINEAR, fill)


def rotated_labels_part(
    labels: np.ndarray, size: tuple[int, int], box: Box, to_source: np.ndarray, fill: int
) -> np.ndarray:
    """A part of a mask that is resized and then rotated; :func:`rotated_part` for labels.

    OpenCV rounds each column's share of a place by itself. For the very same labels the part has
    to begin at the first column.
    """
    y1, y2, x1, x2 = box
    whole = (y1, y2, 0, x2)
    seen = _seen(size, whole, to_source)
    matrix = _between(to_source, (0, y1), (seen[2], seen[0]))
    part = resized_labels_part(labels, size, seen)
    return _warped(part, matrix, (x2, y2 - y1), cv2.INTER_NEAREST, fill)[:, x1:]


def _source_range(length: int, resized: int, first: int, last: int) -> tuple[int, slice, float]:
    """Where to begin in the result, what to resize of the source, and the factor."""
    step = length / resized
    # Enlarged, the first pixels of a part would look at one before it.
    latest = max(first - math.ceil(max(0.5 / step - 0.5, 0)), 0)
    begin = next(i for i in range(latest, -1, -1) if abs(i * step - round(i * step)) <= _TOLERANCE)
    start = round(begin * step)
    # Interpolation looks at one pixel more.
    end = min(start + math.ceil((last - begin) * step) + 1, length)
    return begin, slice(start, end), resized / length


def _nearest(length: int, resized: int, first: int, last: int) -> np.ndarray:
    # In OpenCV's order of operations: another one rounds otherwise.
    step = 1 / (resized / length)
    return np.minimum(np.floor(np.arange(first, last) * step).astype(np.intp), length - 1)


def _seen(size: tuple[int, int], box: Box, to_source: np.ndarray) -> Box:
    """What of an image a part of the rotated one shows, and its neighbours."""
    y1, y2, x1, x2 = box
    corners = np.array([[x, y, 1] for x in (x1, x2) for y in (y1, y2)], float).T
    columns, rows = to_source @ corners
    left, right = (int(edge) for edge in (columns.min() - 2, columns.max() + 3))
    top, bottom = (int(edge) for edge in (rows.min() - 2, rows.max() + 3))
    return max(top, 0), min(bottom, size[1]), max(left, 0), min(right, size[0])


def _between(
    to_source: np.ndarray, begin: tuple[int, int], source_begin: tuple[int, int]
) -> np.ndarray:
    """The matrix between parts that begin at these (x, y)."""
    matrix = to_source.copy()
    matrix[:, 2] += to_source[:, :2] @ begin - np.array(source_begin)
    return matrix


def _warped(
    image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], interpolation: int, fill: float
) -> np.ndarray:
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, size, flags=flags, borderValue=fill)
