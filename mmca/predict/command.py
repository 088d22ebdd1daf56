"""What ``tools/predict.py`` does."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mmca.engine.libraries import prepare_libraries
from mmca.errors import UserError
from mmca.progress import Progress

from .predictions import Detections, Prediction
from .predictor import Predictor
from .sources import Frame, Source, find_sources, frames_of
from .stream import predict_frames
from .writing import Writer


def predict(args: argparse.Namespace) -> None:
    """Predict on all inputs and write what comes out.

    Raises:
        UserError: If the network cannot be had, or at the end, if some inputs could not be read.
    """
    prepare_libraries()
    _quiet_opencv()
    out = Path(args.out)
    predictor = Predictor(
        *args.network,
        device=args.device,
        batch_size=args.batch_size,
        max_pixels=round(args.max_megapixels * 2**20),
    )
    sources = find_sources(args.inputs, out)
    writer = Writer(out, predictor.task, predictor.classes, predictor.palette, sources)

    def chosen(prediction: Prediction) -> Prediction:
        if isinstance(prediction, Detections):
            return prediction.above(args.min_score)
        return prediction

    def finish(frame: Frame, image: np.ndarray, prediction: Prediction) -> np.ndarray | None:
        return writer.picture(frame, image, chosen(prediction))

    started = time.monotonic()
    done = failed = 0
    with Progress('Predict', _count(sources, args.frames)) as progress:
        try:
            for outcome in predict_frames(predictor, _all(sources, predictor, args), finish):
                if outcome.error:
                    failed += 1
                    print(f'Error: {outcome.error}', file=sys.stderr, flush=True)
                    continue
                done += 1
                writer.add(outcome.frame, outcome.size, chosen(outcome.prediction), outcome.product)
                progress.advance()
        except KeyboardInterrupt:
            print('\nStopped; what is done is written.', flush=True)
        names = writer.close()
    seconds = time.monotonic() - started
    noun = 'picture' if done == 1 else 'pictures'
    print(f'{done} {noun} in {seconds:.1f} s, {done / seconds:.1f} images per second')
    if done:
        print(f'{out}: {", ".join(names)}')
    if failed:
        raise UserError(f'{failed} of {done + failed} could not be read, see above')


def _all(sources: list[Source], predictor: Predictor, args: argparse.Namespace) -> Iterator[Frame]:
    for source in sources:
        yield from frames_of(source, predictor.read, args.frames)


def _count(sources: list[Source], most: int | None) -> int | None:
    """How many pictures there will be, None if that is not known."""
    counts = [
        most if source.frames is None else min(source.frames, most or source.frames)
        for source in sources
        if not source.error
    ]
    return None if None in counts else sum(counts)


def _quiet_opencv() -> None:
    """What is wrong with a video is told in our words alone."""
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    cv2.setLogLevel(0)
