"""NMS for runtimes whose files come without."""

import heapq
from collections.abc import Iterator
from itertools import islice

import numpy as np


def suppress(
    boxes: np.ndarray,
    class_scores: np.ndarray,
    score_thr: float,
    iou_threshold: float,
    max_per_img: int,
) -> dict[str, np.ndarray]:
    """Non-maximum suppression for each class, as ONNX's and mmcv's.

    Args:
        boxes (np.ndarray): (P, 4), x1 y1 x2 y2.
        class_scores (np.ndarray): (P, classes).
        score_thr (float): Scores must be above it.
        iou_threshold (float): Of two boxes of a class that overlap by more, the lower goes.
        max_per_img (int): Detections that are left at most.

    Returns:
        dict[str, np.ndarray]: ``boxes`` (max_per_img, 4), ``scores`` and ``labels``
        (max_per_img,), with label -1 and zeros beyond the last detection.
    """
    has_area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    rows = [
        _left_of_class(boxes, scores, label, (scores > score_thr) & has_area, iou_threshold)
        for label, scores in enumerate(class_scores.T)
    ]
    # Each class goes on only as long as its next box is among the best.
    found = islice(heapq.merge(*rows, key=lambda one: -one[0]), max_per_img)
    out = {
        'boxes': np.zeros((max_per_img, 4), np.float32),
        'scores': np.zeros(max_per_img, np.float32),
        'labels': np.full(max_per_img, -1, np.int64),
    }
    for place, (score, label, anchor) in enumerate(found):
        out['boxes'][place], out['scores'][place] = boxes[anchor], score
        out['labels'][place] = label
    return out


def _left_of_class(
    boxes: np.ndarray, scores: np.ndarray, label: int, chosen: np.ndarray, iou_threshold: float
) -> Iterator[tuple[float, int, int]]:
    """Score, label and index of the boxes of a class that are left, the best first."""
    candidates = np.flatnonzero(chosen)
    candidates = candidates[np.argsort(-scores[candidates], kind='stable')]
    while len(candidates):
        best, candidates = candidates[0], candidates[1:]
        yield scores[best], label, best
        candidates = candidates[_iou(boxes[best], boxes[candidates]) <= iou_threshold]


def _iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box (4,) and others (P, 4), all with an area."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    return common / ((box[2:] - box[:2]).prod() + areas - common)
