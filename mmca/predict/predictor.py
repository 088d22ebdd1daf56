import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmca.errors import UserError
from mmca.export.targets import is_exported

from .exported import ExportedFile
from .network import Network, Prepared
from .predictions import Prediction, for_original, reduced
from .trained import TrainedNetwork

MAX_PIXELS = 2**22


class Item(NamedTuple):
    """An image on its way through the network.

    Attributes:
        image: As it was given, (H, W, 3) in BGR order.
        prepared: As the network takes it.
    """

    image: np.ndarray
    prepared: Prepared

    @property
    def original(self) -> tuple[int, int]:
        return self.image.shape[:2]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) to which the image was reduced before, else its own."""
        return self.prepared.size


class Predictor:
    """Predictions of a network on images.

    >>> predictor = mmca.Predictor('configs/deeplabv3_mbv2ca_voc.py', 'iter_30000.pth')
    >>> predictor('street.jpg').class_map.shape
    (1200, 1600)
    >>> mmca.Predictor('net.onnx')('street.jpg').class_map.shape
    (1200, 1600)

    Images are prepared, and results brought back to the image's size, as mmseg, mmdet and
    mmpretrain do it in a test.

    Args:
        network (str | Path): Config file of mmseg, mmdet or mmpretrain, or a file that
            ``tools/export.py`` wrote.
        checkpoint (str | Path | None): The weights of the config; an exported file has its own.
        device (str | None): Where to compute; default: the first GPU if there is one. An exported
            file computes where its runtime does.
        batch_size (int | None): Most images of one size that go through the network together;
            default: what is fast, 1 with a checkpoint on the CPU and else 8.
        max_pixels (int): Most pixels, height times width, that the network gets at once. What the
            test pipeline makes larger than that is reduced before, and its result enlarged.

    Attributes:
        task (str): ``'segmentation'``, ``'detection'`` or ``'classification'``.
        classes (tuple[str, ...]): Names of the classes.
        palette (tuple[tuple[int, int, int], ...]): Their colours, RGB.

    Raises:
        UserError: If config, checkpoint or exported file is missing, if the former do not fit each
            other, or if the runtime of the latter is not installed.
    """

    def __init__(
        self,
        network: str | Path,
        checkpoint: str | Path | None = None,
        device: str | None = None,
        batch_size: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.network = _open(network, checkpoint, device)
        self.task, self.classes = self.network.task, self.network.classes
        self.palette = self.network.palette
        self.batch_size, self.max_pixels = batch_size or self.network.batch_size, max_pixels
        self._calls = threading.BoundedSemaphore(self.network.calls)

    def __call__(
        self, images: str | Path | np.ndarray | Sequence[str | Path | np.ndarray]
    ) -> Prediction | list[Prediction]:
        """Predict on images.

        Args:
            images: A file, an array (H, W, 3) or (H, W) of uint8, colours in BGR order as OpenCV
                and mmcv read them, or a sequence of these.

        Returns:
            Prediction | list[Prediction]: A :class:`Segmentation`, :class:`Detections` or
            :class:`Classification`; of a sequence a list of them.

        Raises:
            BadImageError: If a file is no image, or damaged; the message names it.
            UserError: If an array is not as above.
        """
        if isinstance(images, (str, Path, np.ndarray)):
            [prediction] = self([images])
            return prediction
        items = [self.prepare(self.read(image)) for image in images]
        found: dict[int, Prediction] = {}
        for numbers in self._batches(items):
            predictions = self.predict([items[number] for number in numbers])
            found.update(zip(numbers, predictions, strict=True))
        return [found[number] for number in range(len(items))]

    def read(self, image: str | Path | np.ndarray) -> np.ndarray:
        """The image of a file as the test pipeline reads it, or an array that is checked."""
        if not isinstance(image, np.ndarray):
            return self.network.loader(dict(img_path=str(image)))['img']
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or not image.size:
            raise UserError(
                f'an image of shape {image.shape} and type {image.dtype}; give (H, W, 3) of uint8 '
                'in BGR order'
            )
        if image.ndim == 2 or image.shape[2] == 1:
            return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
        if image.shape[2] != 3:
            raise UserError(f'an image of {image.shape[2]} channels; give 3, in BGR order')
        return image

    def prepare(self, image: np.ndarray) -> Item:
        """An image as :meth:`read` gives it, made ready for :meth:`predict`."""
        prepared = self.network.prepare(image)
        pixels = prepared.shape[0] * prepared.shape[1]
        if pixels > self.max_pixels:
            smaller = reduced(image, (self.max_pixels / pixels) ** 0.5)
            prepared = self.network.prepare(smaller)
        return Item(image, prepared)

    def predict(self, items: Sequence[Item]) -> list[Prediction]:
        """Run the network on images that are prepared and of one shape."""
        with self._calls:
            predictions = self.network.predict([item.prepared for item in items])
        return [
            for_original(prediction, item.shape, item.original)
            for prediction, item in zip(predictions, items, strict=True)
        ]

    def batch_of(self, shape: tuple[int, int]) -> int:
        """How many images of a prepared shape go through the network together."""
        return max(1, min(self.batch_size, self.max_pixels // (shape[0] * shape[1])))

    def _batches(self, items: Sequence[Item]) -> Iterator[list[int]]:
        """Numbers of items of one shape, at most a batch of them."""
        groups: dict[tuple[int, int], list[int]] = {}
        for number, item in enumerate(items):
            groups.setdefault(item.prepared.shape, []).append(number)
        for shape, numbers in groups.items():
            size = self.batch_of(shape)
            yield from (numbers[start : start + size] for start in range(0, len(numbers), size))


def _open(network: str | Path, checkpoint: str | Path | None, device: str | None) -> Network:
    if not is_exported(network):
        if checkpoint is None:
            raise UserError(f'{network}: give the checkpoint of this config, too')
        return TrainedNetwork(network, checkpoint, device)
    for name, given in (('checkpoint', checkpoint), ('device', device)):
        if given is not None:
            raise UserError(f'{network}: is an exported file, which takes no {name} ({given})')
    return ExportedFile(network)
