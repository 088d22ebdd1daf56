"""Images per second of tools/predict.py on a folder, beside a loop over single images.

Both read, predict, draw and write the same; the loop does so one after the other, the tool beside
each other and in batches. They run in turns; printed are the medians.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from mmca.errors import told_to_the_user


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('network', nargs='+', help='CONFIG CHECKPOINT, or EXPORTED')
    parser.add_argument('--images', required=True, help='folder of images')
    parser.add_argument('--rounds', type=int, default=5, help='how often each runs')
    parser.add_argument('--batch-size', type=int, help='of the tool (default: its own)')
    return parser.parse_args()


def measure(args: argparse.Namespace) -> None:
    from mmca.engine.libraries import prepare_libraries
    from mmca.predict import Predictor
    from mmca.predict.sources import find_sources, frames_of
    from mmca.predict.stream import predict_frames
    from mmca.predict.writing import Writer

    prepare_libraries()
    predictor = Predictor(*args.network, batch_size=args.batch_size)

    def in_a_loop(frames: list, writer: Writer) -> None:
        for frame in frames:
            image = frame.load()
            [prediction] = predictor.predict([predictor.prepare(image)])
            writer.picture(frame, image, prediction)

    def as_the_tool(frames: list, writer: Writer) -> None:
        for outcome in predict_frames(predictor, frames, writer.picture):
            if outcome.error:
                raise outcome.error

    ways = {'one by one': in_a_loop, 'folder': as_the_tool}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        sources = find_sources([args.images], out)
        writer = Writer(out, predictor.task, predictor.classes, predictor.palette, sources)
        frames = [frame for source in sources for frame in frames_of(source, predictor.read)]
        for number in range(-1, args.rounds):  # the first is not counted
            for name, way in ways.items():
                started = time.perf_counter()
                way(frames, writer)
                if number >= 0:
                    rates[name].append(len(frames) / (time.perf_counter() - started))
    for name, found in rates.items():
        low, high = min(found), max(found)
        print(f'{name}: {statistics.median(found):.2f} images/s ({low:.2f} to {high:.2f})')


def main() -> None:
    args = parse_args()
    with told_to_the_user():
        measure(args)


if __name__ == '__main__':
    main()
