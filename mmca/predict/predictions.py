"""What a network says of one picture, as arrays, in the pixels of the picture as it was given."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Classes of pixels.

    Attributes:
        class_map (np.ndarray): (H, W), the number of each pixel's class; uint8, or int64 where
            there are more than 256 classes.
    """

    class_map: np.ndarray

    def resized(self, height: int, width: int) -> 'Segmentation':
        """The same for the picture at another size."""
        if self.class_map.shape == (height, width):
            return self
        rows = np.arange(height) * self.class_map.shape[0] // height
        columns = np.arange(width) * self.class_map.shape[1] // width
        return Segmentation(self.class_map[rows[:, None], columns])

    def shares(self, num_classes: int) -> np.ndarray:
        """(num_classes,): the part of the pixels that is of each class."""
        counts = np.bincount(self.class_map.reshape(-1), minlength=num_classes)
        return counts / max(1, self.class_map.size)


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes, those with the highest scores first.

    Attributes:
        boxes (np.ndarray): (K, 4) of float32: x1, y1, x2, y2 in pixels.
        scores (np.ndarray): (K,) of float32, 0 to 1.
        labels (np.ndarray): (K,) of int64, numbers of classes.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def scaled(self, across: float, down: float) -> 'Detections':
        """The same for the picture at another size, by factors of its width and height."""
        factors = np.array([across, down, across, down], np.float32)
        return Detections(self.boxes * factors, self.scores, self.labels)

    def above(self, min_score: float) -> 'Detections':
        """Those of at least this score."""
        kept = self.scores >= min_score
        return Detections(self.boxes[kept], self.scores[kept], self.labels[kept])


@dataclass(frozen=True, eq=False)
class Classification:
    """Classes of the whole picture.

    Attributes:
        scores (np.ndarray): (classes,) of float32, 0 to 1.
    """

    scores: np.ndarray

    def best(self, count: int = 5) -> list[int]:
        """Numbers of the classes with the highest scores, the highest first."""
        return np.argsort(-self.scores, kind='stable')[:count].tolist()


Prediction = Segmentation | Detections | Classification


def for_original(
    prediction: Prediction, shape: tuple[int, int], original: tuple[int, int]
) -> Prediction:
    """What was said of a picture reduced to ``shape``, for its ``original`` (height, width)."""
    if shape == original or isinstance(prediction, Classification):
        return prediction
    if isinstance(prediction, Segmentation):
        return prediction.resized(*original)
    return prediction.scaled(original[1] / shape[1], original[0] / shape[0])


def reduced(image: np.ndarray, factor: float) -> np.ndarray:
    """The image with its sides multiplied by a factor below 1."""
    height, width = image.shape[:2]
    size = max(1, int(width * factor)), max(1, int(height * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
