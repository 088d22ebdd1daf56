"""Export a trained network to another runtime, and prove that it computes the same there."""

import argparse

from mmengine.config import DictAction

from mmca.errors import told_to_the_user
from mmca.export.targets import TARGETS


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number above 0')
    return int(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, e.g. configs/deeplabv3_mbv2ca_camvid.py')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--to', required=True, choices=list(TARGETS), help='format')
    parser.add_argument('--out', required=True, help='file to write, e.g. network.onnx')
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        '--size',
        nargs=2,
        type=count,
        metavar=('H', 'W'),
        help="the one size that the file takes; default: the config's crop size, else the size "
        'that its test pipeline makes, else 224 224',
    )
    sizes.add_argument(
        '--dynamic', action='store_true', help='the file takes any size and number of images'
    )
    parser.add_argument('--batch', type=count, default=1, help='number of images at once')
    parser.add_argument(
        '--int8', metavar='IMAGES', help='quantise to 8 bits, calibrated on images of this folder'
    )
    parser.add_argument(
        '--no-preprocessing',
        action='store_true',
        help='leave normalisation and order of channels out of the file',
    )
    parser.add_argument(
        '--custom-operator',
        action='store_true',
        help='coordinate attention as one operator, which is compiled where the file runs (ONNX)',
    )
    parser.add_argument(
        '--images', help="folder of images to compare on; default: the config's test set"
    )
    parser.add_argument('--threads', type=count, help='threads of the runtime in the comparison')
    parser.add_argument('--data-root', help='folder of the data, in place of the one in the config')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='override settings: key=value, with dots for nesting',
    )
    parser.set_defaults(work_dir=None, launcher='none', local_rank=0)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with told_to_the_user():
        # Imports torch: not before -h is answered.
        from mmca.export.write import export

        export(args)


if __name__ == '__main__':
    main()
