"""Predict on pictures, folders, videos or a camera with a trained network.

Writes pictures with the prediction drawn over them, and files for programs: masks (PNG, pixels are
numbers of classes) of a segmentation, COCO annotations (JSON) of a detection, a table (CSV) of all.
Inputs that cannot be read are told, and the rest goes on; the exit status is then 1.
"""

import argparse

from mmca.errors import told_to_the_user


def above_zero(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f'{text!r} is not above 0')
    return value


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number above 0')
    return int(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage='%(prog)s CONFIG CHECKPOINT INPUT [INPUT ...] --out DIR',
    )
    parser.add_argument('network', nargs=2, metavar='CONFIG CHECKPOINT', help='the network')
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='image, folder (with those in it), glob in quotes, video, or number of a camera',
    )
    parser.add_argument('--out', required=True, help='folder to write to')
    parser.add_argument(
        '--min-score', type=float, default=0.3, help='leave out boxes below it (default: 0.3)'
    )
    parser.add_argument(
        '--batch-size',
        type=count,
        default=8,
        help='most pictures of one size that the network gets together (default: 8)',
    )
    parser.add_argument(
        '--max-megapixels',
        type=above_zero,
        default=4,
        help='what the network would get of a picture above this many million pixels is reduced, '
        'and the result enlarged (default: 4)',
    )
    parser.add_argument('--frames', type=count, help='most frames of each video or camera')
    parser.add_argument('--device', help='cpu, cuda:1, ... (default: a GPU if there is one)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Imports torch: not before -h is answered.
    from mmca.predict.command import predict

    with told_to_the_user():
        predict(args)


if __name__ == '__main__':
    main()
