import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmca.config_walk import LOADERS
from mmca.errors import UserError

from .cfg_options import merge_options
from .data_root import set_data_root
from .expansion import expand_paths, expanded

_PATHS = ('config', 'checkpoint', 'resume', 'work_dir', 'data_root', 'out', 'show_dir')


def read_config(args: argparse.Namespace) -> Config:
    """Read the config of ``args`` and apply the options that training and testing share.

    Raises:
        UserError: If there is no such config, if it cannot be read, or if a path or an option of
            ``args`` is wrong.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    for name in _PATHS:
        if value := getattr(args, name, None):
            setattr(args, name, expanded(value, f'--{name.replace("_", "-")}'))
    cfg = _load(args.config)
    options = dict(args.cfg_options)
    data_root = args.data_root or options.pop('data_root', None)
    merge_options(cfg, options)
    if not cfg.get('model'):
        raise UserError(f'{args.config}: has no model; a config of a dataset is not trained alone')
    for name in LOADERS:
        _check_loader(cfg.get(name), name)
    for section in list(cfg):  # a Config is no dict
        value = expand_paths({section: cfg[section]})[section]
        if value is not cfg[section]:
            cfg[section] = value
    if data_root:
        set_data_root(cfg, expanded(data_root, 'data_root'))
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    return cfg


def _check_loader(loader: Any, name: str) -> None:
    """Raise a UserError if a dataloader, its dataset, or one within that, is no dict."""
    if loader is None:
        return
    if not isinstance(loader, Mapping) or 'dataset' not in loader:
        raise UserError(f'{name}={loader!r}: has no dataset; write {name}=dict(dataset=dict(...))')
    inner = [('dataset', loader['dataset'])]
    if isinstance(loader.get('datasets'), (list, tuple)):
        inner = [(f'datasets.{index}', item) for index, item in enumerate(loader['datasets'])]
    for option, dataset in inner:
        path = f'{name}.{option}'
        if not isinstance(dataset, Mapping):
            raise UserError(f'{path}={dataset!r}: a dataset is a dict with its type')
        if dataset.keys() & {'dataset', 'datasets'}:
            _check_loader({'dataset': None, **dataset}, path)


def _load(path: str) -> Config:
    if not Path(path).is_file():
        raise UserError(f'{path}: no such config; they are in configs/')
    try:
        return Config.fromfile(path)
    except SyntaxError as error:
        raise UserError(
            f'{path}: line {error.lineno} is no Python ({error.msg}): {(error.text or "").strip()}'
        ) from error
    # Whatever the lines of a config raise, and what mmengine says of its bases and imports.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise UserError(f'{path}: cannot be read as a config ({reason})') from error
