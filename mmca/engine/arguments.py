"""Command line options that training and testing share; imports no torch, so that -h is quick."""

import argparse

from .cfg_options import SettingsAction


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them to the parser of ``tools/train.py`` or ``tools/test.py``."""
    parser.add_argument('--work-dir', help='where logs and checkpoints go')
    parser.add_argument('--data-root', help='folder of the data, in place of the one in the config')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=SettingsAction,
        default={},
        help='override settings: key=value, with dots for nesting, e.g. '
        'model.backbone.pretrained=mbv2_ca.pth train_cfg.max_iters=1000 '
        "'custom_hooks=[dict(type=EMAHook)]'",
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torch.distributed.launch passes it; torchrun sets the variable.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_speed_arguments(parser: argparse.ArgumentParser) -> None:
    """Add to a parser what makes a training faster."""
    parser.add_argument(
        '--amp', action='store_true', help='automatic mixed precision in float16 (needs a GPU)'
    )
    parser.add_argument(
        '--amp-bfloat16',
        action='store_true',
        help='automatic mixed precision in bfloat16, on a GPU or a CPU that computes in it',
    )
    parser.add_argument(
        '--channels-last', action='store_true', help='lay out weights and features as NHWC'
    )


def speed_options(args: argparse.Namespace) -> tuple[str, ...]:
    """The options of :func:`add_speed_arguments` that were given, for another command."""
    given = vars(args)
    names = ('amp', 'amp_bfloat16', 'channels_last')
    return tuple(f'--{name.replace("_", "-")}' for name in names if given[name])
