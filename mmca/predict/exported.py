"""A file that ``tools/export.py`` wrote, in its runtime."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmca.datasets.transforms import LoadImageFromFile
from mmca.errors import UserError
from mmca.export import load_exported, prepare

from .colours import complete_palette
from .network import Network, Prepared
from .predictions import Classification, Detections, Prediction, Segmentation


class ExportedFile(Network):
    """Predicts as the checkpoint does that the file was made from.

    A file for one size gets images stretched to it, and so does what it says of them.

    Args:
        path (str | Path): An exported file; others that belong to it lie beside it.
        threads (int | None): Threads that its runtime uses; None: as it likes.

    Raises:
        UserError: If the file is missing or cannot be read, or its runtime is not installed.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        self.exported = load_exported(path, threads)
        known = self.exported.metadata
        if not known.classes:
            raise UserError(f'{path}: has no names of classes; write it again with tools/export.py')
        self.name, self.task, self.classes = Path(path).name, known.task, known.classes
        self.palette = complete_palette(known.palette, len(known.classes))
        self.loader = LoadImageFromFile(**known.loading)
        self.attentions = {}

    def prepare(self, image: np.ndarray) -> Prepared:
        """Resize an image as the test pipeline of the file's config does."""
        prepared = prepare(image, self.exported.metadata)
        return Prepared(prepared, prepared.shape[:2], image.shape[:2])

    def predict(self, batch: Sequence[Prepared]) -> list[Prediction]:
        """Run the file on images of one shape, as many at once as it takes."""
        found = self.exported.each([prepared.data for prepared in batch])
        return [self._read(one, prepared) for one, prepared in zip(found, batch, strict=True)]

    def _read(self, found: dict[str, np.ndarray], prepared: Prepared) -> Prediction:
        if self.task == 'classification':
            return Classification(found['scores'])
        if self.task == 'segmentation':
            kind = np.uint8 if len(self.classes) <= 256 else np.int64
            return Segmentation(found['class_map'].astype(kind)).resized(*prepared.size)
        kept = found['labels'] >= 0
        detections = Detections(found['boxes'][kept], found['scores'][kept], found['labels'][kept])
        height, width = prepared.size
        return detections.scaled(width / prepared.shape[1], height / prepared.shape[0])
