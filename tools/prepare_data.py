"""Download, unpack, convert and verify a dataset, or draw the synthetic sample."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from mmca.dataprep import (
    bccd,
    camvid,
    cifar10,
    cityscapes,
    coco,
    imagenet,
    sample,
    voc0712,
    voc2012,
)
from mmca.errors import UserError, told_to_the_user

DATASETS = {
    'voc2012': voc2012,
    'cityscapes': cityscapes,
    'camvid': camvid,
    'imagenet': imagenet,
    'cifar10': cifar10,
    'coco': coco,
    'voc0712': voc0712,
    'bccd': bccd,
    'sample': sample,
}


def parse_args(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='dataset', required=True, metavar='dataset')
    for name, dataset in DATASETS.items():
        command = commands.add_parser(name, help=dataset.HELP, description=dataset.HELP)
        command.add_argument(
            '--data-root', type=Path, default=Path('data'), metavar='DIR', help='default: data'
        )
        if dataset is not sample:
            command.add_argument(
                '--archives',
                type=Path,
                metavar='DIR',
                help='where archives are, or are downloaded to; default: <data root>/archives',
            )
        command.add_argument('--check', action='store_true', help='only verify what is there')
        dataset.add_options(command)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    argv = sys.argv[1:] if argv is None else argv
    options = parse_args(argv)
    dataset = DATASETS[options.dataset]
    # What an error message tells the user to run.
    arguments = [argument for argument in argv if argument != '--check']
    options.command = shlex.join(['python', 'tools/prepare_data.py', *arguments])
    with told_to_the_user():
        try:
            (dataset.check if options.check else dataset.prepare)(options)
        except OSError as error:  # no space left, no permission
            raise UserError(f'{error}; then run: {options.command}') from error
        except KeyboardInterrupt:
            print(f'\ninterrupted; to continue, run: {options.command}', file=sys.stderr)
            raise SystemExit(130) from None


if __name__ == '__main__':
    main()
