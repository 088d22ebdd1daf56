"""Test a checkpoint of mmseg, mmdet or mmpretrain, or a file exported from one, with its config."""

import argparse

from mmca.engine.arguments import add_common_arguments
from mmca.errors import told_to_the_user
from mmca.export.targets import TARGETS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, e.g. configs/deeplabv3_mbv2ca_voc.py')
    parser.add_argument('checkpoint', help='checkpoint file; with --runtime an exported file')
    parser.add_argument(
        '--runtime',
        choices=list(TARGETS),
        help='the checkpoint is a file that tools/export.py wrote, and runs in this runtime',
    )
    add_common_arguments(parser)
    parser.add_argument('--out', help='write the metrics to this JSON file')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', help='save drawn predictions in this folder')
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds a window stays, with --show'
    )
    parser.add_argument('--tta', action='store_true', help="the config's test-time augmentation")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # They import torch: not before -h is answered.
    with told_to_the_user():
        if args.runtime:
            from mmca.export.evaluate import test_exported

            test_exported(args)
        else:
            from mmca.engine.flow import test

            test(args)


if __name__ == '__main__':
    main()
