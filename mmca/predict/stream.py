"""Many pictures through a network: read beforehand, batched by size, written meanwhile."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch

from mmca.errors import UserError

from .predictions import Prediction
from .predictor import Item, Predictor
from .sources import Frame

# Of all pictures in memory at once; a larger one goes alone.
_PIXELS = 2**27


class Done(NamedTuple):
    """A frame whose prediction is there, or the error for which it is not.

    Attributes:
        frame: The frame.
        size: (height, width) of its picture.
        prediction: What the network says of it.
        product: What ``finish`` returned.
        error: What is wrong with the frame, in place of all these.
    """

    frame: Frame
    size: tuple[int, int] = (0, 0)
    prediction: Prediction | None = None
    product: Any = None
    error: UserError | None = None


Finish = Callable[[Frame, np.ndarray, Prediction], Any]


def predict_frames(predictor: Predictor, frames: Iterable[Frame], finish: Finish) -> Iterator[Done]:
    """Predict on frames; they come back in their order.

    Reading, the test pipeline and ``finish`` run in threads beside the network, and on a CPU the
    network in as many as there are cores. Pictures of different sizes are not padded to one:
    attention sees the whole map, padding included.

    Args:
        predictor (Predictor): What to predict with.
        frames (Iterable[Frame]): Pictures that are not read yet.
        finish (Finish): What to do with picture and prediction, e.g. write them.
    """
    network, threads = predictor.network, torch.get_num_threads()
    with (
        ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool,
        ThreadPoolExecutor(network.calls, initializer=network.begin_thread) as calls,
    ):
        stream = _Stream(predictor, finish, pool, calls)
        try:
            for frame in frames:
                yield from stream.push(frame)
            yield from stream.drain()
        finally:
            torch.set_num_threads(threads)  # which begin_thread changes for threads to come


class _Stream:
    def __init__(
        self,
        predictor: Predictor,
        finish: Finish,
        pool: ThreadPoolExecutor,
        calls: ThreadPoolExecutor,
    ) -> None:
        self.predictor, self.finish, self.pool, self.calls = predictor, finish, pool, calls
        self.largest = 1
        self.reading: deque[tuple[int, Frame, Future]] = deque()
        self.ready: dict[tuple[int, int], list[tuple[int, Frame, Item]]] = {}
        self.running: deque[tuple[list[tuple[int, Frame, Item]], Future]] = deque()
        self.finished: dict[int, Future | Done] = {}
        self.pushed = self.given = 0

    def push(self, frame: Frame) -> Iterator[Done]:
        future = self.pool.submit(self._read, frame)
        self.reading.append((self.pushed, frame, future))
        self.pushed += 1
        most = 2 * self.predictor.batch_size * self.predictor.network.calls
        room = max(1, min(most, _PIXELS // self.largest))
        while len(self.reading) >= room:
            self._take()
        while sum(map(len, self.ready.values())) >= room:
            self._run(max(self.ready, key=lambda shape: len(self.ready[shape])))
        while self.running and self.running[0][1].done():
            self._collect()
        # As many may wait for being written.
        while self.pushed - self.given > 4 * room and self.given in self.finished:
            yield self._result(self.given)
        yield from self._give(wait=False)

    def drain(self) -> Iterator[Done]:
        while self.reading:
            self._take()
        for shape in list(self.ready):
            self._run(shape)
        while self.running:
            self._collect()
        yield from self._give(wait=True)

    def _read(self, frame: Frame) -> Item:
        return self.predictor.prepare(frame.load())

    def _take(self) -> None:
        number, frame, future = self.reading.popleft()
        try:
            item = future.result()
        except UserError as error:
            self.finished[number] = Done(frame, error=error)
            return
        self.largest = max(self.largest, item.original[0] * item.original[1])
        shape = item.prepared.shape
        self.ready.setdefault(shape, []).append((number, frame, item))
        if len(self.ready[shape]) >= self.predictor.batch_of(shape):
            self._run(shape)

    def _run(self, shape: tuple[int, int]) -> None:
        """Give a batch to the network, when what it has leaves room for it."""
        batch = self.ready.pop(shape)
        pixels = len(batch) * shape[0] * shape[1]
        network, most = self.predictor.network, self.predictor.max_pixels
        while self.running and (
            len(self.running) > network.calls or self._pixels_running() + pixels > most
        ):
            self._collect()
        items = [item for _, _, item in batch]
        self.running.append((batch, self.calls.submit(self.predictor.predict, items)))

    def _pixels_running(self) -> int:
        shapes = [item.prepared.shape for batch, _ in self.running for _, _, item in batch]
        return sum(height * width for height, width in shapes)

    def _collect(self) -> None:
        """Have the longest running batch written."""
        batch, future = self.running.popleft()
        try:
            predictions = future.result()
        except UserError as error:  # an exported file may not take every size
            for number, frame, _ in batch:
                told = UserError(f'{frame.label}: {error}')
                self.finished[number] = Done(frame, error=told)
            return
        for (number, frame, item), prediction in zip(batch, predictions, strict=True):
            self.finished[number] = self.pool.submit(self._finish, frame, item, prediction)

    def _finish(self, frame: Frame, item: Item, prediction: Prediction) -> Done:
        product = self.finish(frame, item.image, prediction)
        return Done(frame, item.original, prediction, product)

    def _give(self, wait: bool) -> Iterator[Done]:
        while self.given in self.finished:
            outcome = self.finished[self.given]
            if isinstance(outcome, Future) and not (wait or outcome.done()):
                return
            yield self._result(self.given)

    def _result(self, number: int) -> Done:
        outcome = self.finished.pop(number)
        self.given += 1
        return outcome.result() if isinstance(outcome, Future) else outcome
