"""Predict on pictures, folders, videos or a camera with a trained network or an exported file.

Writes pictures with the prediction drawn over them, and files for programs: masks (PNG, pixels are
numbers of classes) of a segmentation, COCO annotations (JSON) of a detection, a table (CSV) of all.
Inputs that cannot be read are told, and the rest goes on; the exit status is then 1.
"""

import argparse

from mmca.errors import told_to_the_user
from mmca.export.targets import is_exported


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
        usage='%(prog)s (CONFIG CHECKPOINT | EXPORTED) INPUT [INPUT ...] --out DIR [options]',
    )
    parser.add_argument(
        'network',
        nargs='+',
        metavar='CONFIG CHECKPOINT INPUT',
        help='a network: config and checkpoint, or in place of the two a file that tools/export.py '
        'wrote; then images, folders (with those in them), globs in quotes, videos, or the number '
        'of a camera',
    )
    parser.add_argument('--out', required=True, help='folder to write to')
    parser.add_argument(
        '--min-score', type=float, default=0.3, help='leave out boxes below it (default: 0.3)'
    )
    parser.add_argument(
        '--batch-size',
        type=count,
        help='most pictures of one size that the network gets together (default: 8; with a '
        'checkpoint on the CPU, where several are looked at side by side, 1)',
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
    args = parser.parse_intermixed_args()
    words = args.network
    size = 1 if is_exported(words[0]) else 2
    args.network, args.inputs = words[:size], words[size:]
    if not args.inputs:
        parser.error(f'give {"CHECKPOINT and " * (len(words) < size)}INPUT behind {words[-1]}')
    return args


def main() -> None:
    args = parse_args()
    # Imports torch: not before -h is answered.
    from mmca.predict.command import predict

    with told_to_the_user():
        predict(args)


if __name__ == '__main__':
    main()
