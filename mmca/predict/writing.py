"""Predictions as files: pictures, videos, masks, a table, COCO annotations."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from mmca.errors import UserError
from mmca.files import write_atomic

from .drawing import Colours, draw
from .predictions import Classification, Detections, Prediction, Segmentation
from .sources import Frame, Source

HEADERS = {
    'segmentation': ('file', 'class', 'pixels', 'share'),
    'detection': ('file', 'class', 'score', 'x1', 'y1', 'x2', 'y2'),
    'classification': ('file', 'rank', 'class', 'score'),
}


class Writer:
    """Writes ``pictures/``, ``masks/``, ``predictions.csv`` and ``predictions.json`` in a folder.

    Masks are written of a segmentation, COCO annotations (the JSON file) of a detection. A video
    becomes a video of pictures, and a folder of masks.

    Args:
        folder (Path): Where to write.
        task (str): The predictor's.
        classes (Sequence[str]): Names of the classes.
        palette (Colours): RGB of each class.
        sources (Sequence[Source]): All that is predicted on.

    Raises:
        UserError: If the folder cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        task: str,
        classes: Sequence[str],
        palette: Colours,
        sources: Sequence[Source],
    ) -> None:
        self.folder, self.task = folder, task
        self.classes, self.palette = classes, palette
        self._stems = stems_of(sources)
        self._rates = {source.name: source.rate for source in sources}
        self._rows: list[tuple] = []
        self._images: list[dict] = []
        self._boxes: list[dict] = []
        self._video: tuple[str, cv2.VideoWriter] | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f'--out {folder}: cannot be made ({error.strerror})') from error

    def picture(self, frame: Frame, image: np.ndarray, prediction: Prediction) -> np.ndarray | None:
        """Write picture and mask; may run in a thread.

        Returns:
            np.ndarray | None: The picture, if it is one of a video.
        """
        drawn = draw(image, prediction, self.classes, self.palette)
        stem = self._stems[frame.name]
        if isinstance(prediction, Segmentation):
            name = f'{stem}/{frame.number:06d}' if frame.number else stem
            self._write(f'masks/{name}.png', _mask(prediction.class_map, self.palette))
        if frame.number:
            return drawn
        there, encoded = cv2.imencode('.jpg', drawn, [cv2.IMWRITE_JPEG_QUALITY, 92])
        if not there:
            raise UserError(f'{frame.label}: too large for a JPEG; reduce it')
        self._write(f'pictures/{stem}.jpg', encoded.tobytes())
        return None

    def add(
        self, frame: Frame, size: tuple[int, int], prediction: Prediction, drawn: np.ndarray | None
    ) -> None:
        """Add a prediction to the tables, and its picture to the video; in order of the frames."""
        if drawn is not None:
            self._append(frame, drawn)
        self._rows += [(frame.label, *row) for row in self._rows_of(prediction)]
        if isinstance(prediction, Detections):
            image_id = len(self._images) + 1
            height, width = size
            self._images.append(
                dict(id=image_id, file_name=frame.label, width=width, height=height)
            )
            first = len(self._boxes) + 1
            self._boxes += [
                dict(annotation, id=first + number, image_id=image_id)
                for number, annotation in enumerate(_annotations(prediction))
            ]

    def close(self) -> list[str]:
        """Write the tables, end the video; returns what there is in the folder now."""
        self._end_video()
        text = io.StringIO()
        table = csv.writer(text, lineterminator='\n')
        table.writerow(HEADERS[self.task])
        table.writerows(self._rows)
        self._write('predictions.csv', text.getvalue().encode())
        names = ['pictures/', 'predictions.csv']
        if self.task == 'segmentation':
            names.append('masks/')
        if self.task == 'detection':
            categories = [dict(id=n, name=name) for n, name in enumerate(self.classes)]
            content = dict(images=self._images, annotations=self._boxes, categories=categories)
            self._write('predictions.json', json.dumps(content).encode())
            names.append('predictions.json')
        return names

    def _rows_of(self, prediction: Prediction) -> list[tuple]:
        if isinstance(prediction, Segmentation):
            pixels = np.bincount(prediction.class_map.reshape(-1))
            return [
                (self.classes[n], pixels[n], f'{pixels[n] / pixels.sum():.6f}')
                for n in np.flatnonzero(pixels)
            ]
        if isinstance(prediction, Classification):
            return [
                (rank, self.classes[n], f'{prediction.scores[n]:.6f}')
                for rank, n in enumerate(prediction.best(), 1)
            ]
        return [
            (self.classes[label], f'{score:.6f}', *(f'{value:.2f}' for value in box))
            for box, score, label in zip(
                prediction.boxes, prediction.scores, prediction.labels, strict=True
            )
        ]

    def _write(self, name: str, content: bytes) -> None:
        try:
            write_atomic(self.folder / name, content)
        except OSError as error:
            raise UserError(
                f'{self.folder / name}: cannot be written ({error.strerror}); give another --out'
            ) from error

    def _append(self, frame: Frame, drawn: np.ndarray) -> None:
        if self._video is None or self._video[0] != frame.name:
            self._end_video()
            path = self.folder / f'pictures/{self._stems[frame.name]}.mp4'
            path.parent.mkdir(parents=True, exist_ok=True)
            code = cv2.VideoWriter_fourcc(*'mp4v')
            # Of odd sizes the codec makes even ones.
            size = drawn.shape[1] // 2 * 2, drawn.shape[0] // 2 * 2
            video = cv2.VideoWriter(str(path), code, self._rates[frame.name], size)
            if not video.isOpened():
                raise UserError(f'{path}: cannot be written; give another --out')
            self._video = frame.name, video
        height, width = drawn.shape[0] // 2 * 2, drawn.shape[1] // 2 * 2
        self._video[1].write(np.ascontiguousarray(drawn[:height, :width]))

    def _end_video(self) -> None:
        if self._video is not None:
            self._video[1].release()
            self._video = None


def stems_of(sources: Sequence[Source]) -> dict[str, str]:
    """What the files of each source are called, without a suffix; no two alike."""
    taken: dict[str, str] = {}
    for source in sources:
        stem = str(Path(source.name).with_suffix('')) if source.name else ''
        # `a.jpg` and `a.png` in one folder.
        taken[source.name] = source.name if stem in taken.values() else stem
    return taken


def _mask(class_map: np.ndarray, palette: Colours) -> bytes:
    """A PNG whose pixels are numbers of classes, shown in their colours."""
    if class_map.dtype == np.uint8:
        image = Image.fromarray(class_map)
        image.putpalette([value for colour in palette[:256] for value in colour])
    else:
        image = Image.fromarray(class_map.astype(np.uint16))
    content = io.BytesIO()
    image.save(content, 'png', compress_level=3)
    return content.getvalue()


def _annotations(found: Detections) -> list[dict[str, Any]]:
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    return [
        dict(
            category_id=label,
            bbox=[round(v, 2) for v in (x1, y1, x2 - x1, y2 - y1)],
            area=round((x2 - x1) * (y2 - y1), 2),
            iscrowd=0,
            score=round(score, 6),
        )
        for (x1, y1, x2, y2), score, label in rows
    ]
