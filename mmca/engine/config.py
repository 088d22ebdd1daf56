import argparse
import os
from pathlib import Path

from mmengine.config import Config

from mmca.errors import UserError

from .data_root import set_data_root


def read_config(args: argparse.Namespace) -> Config:
    """Read the config of ``args`` and apply the options that training and testing share.

    Raises:
        UserError: If there is no such config.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if not Path(args.config).is_file():
        raise UserError(f'{args.config}: no such config; they are in configs/')
    cfg = Config.fromfile(args.config)
    options = dict(args.cfg_options)
    data_root = args.data_root or options.pop('data_root', None)
    cfg.merge_from_dict(options)
    if data_root:
        set_data_root(cfg, data_root)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    return cfg
