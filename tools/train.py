"""Train a model of mmseg, mmdet or mmpretrain from a config."""

import argparse

from mmca.engine.arguments import add_common_arguments, add_speed_arguments
from mmca.errors import told_to_the_user


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, e.g. configs/deeplabv3_mbv2ca_voc.py')
    add_common_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from this checkpoint; without a path, from the newest in the work dir',
    )
    add_speed_arguments(parser)
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the lr with the total batch size'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Imports torch: not before -h is answered.
    from mmca.engine.flow import train

    with told_to_the_user():
        train(args)


if __name__ == '__main__':
    main()
