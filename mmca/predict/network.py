"""What a :class:`Predictor` asks of a network, trained or exported."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from mmca.datasets.transforms import LoadImageFromFile

from .predictions import Prediction


class Prepared(NamedTuple):
    """An image as the network takes it.

    Attributes:
        data: What a batch is made of.
        shape: (height, width) of it; only those of one shape make a batch.
        size: (height, width) of the image that it was made of.
    """

    data: Any
    shape: tuple[int, int]
    size: tuple[int, int]


class Network(ABC):
    """A network that predicts on images.

    Attributes:
        name (str): Name of its config's or exported file.
        task (str): ``'segmentation'``, ``'detection'`` or ``'classification'``.
        classes (tuple[str, ...]): Names of the classes.
        palette (tuple[tuple[int, int, int], ...]): Their colours, RGB.
        loader (LoadImageFromFile): Reads an image file as the test of the config does.
        attentions (dict[str, nn.Module]): Its attentions in their order, by name; those of an
            exported file cannot be reached.
        calls (int): How many calls of :meth:`predict` fill the machine, each from a thread of its
            own that has called ``begin_thread``.
        begin_thread (Callable[[], None] | None): What such a thread calls first, if anything.
        batch_size (int): How many images a call best gets.
    """

    name: str
    task: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    loader: LoadImageFromFile
    attentions: dict[str, nn.Module]
    calls: int = 1
    batch_size: int = 8
    begin_thread: Callable[[], None] | None = None

    @abstractmethod
    def prepare(self, image: np.ndarray) -> Prepared:
        """An image, (H, W, 3) of uint8 in BGR order, as the network takes it."""

    @abstractmethod
    def predict(self, batch: Sequence[Prepared]) -> list[Prediction]:
        """Predict on images of one shape; results are for the images before :meth:`prepare`."""
