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
