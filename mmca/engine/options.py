"""What single flags of ``tools/train.py`` and ``tools/test.py`` do."""

import argparse
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator

from mmca.config_walk import library_of
from mmca.errors import UserError
from mmca.files import write_atomic


def use_amp(cfg: Config, dtype: str) -> None:
    """Train in mixed precision, with ``'float16'`` or ``'bfloat16'``."""
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if dtype != 'float16':  # the optimizer wrapper's own default on a GPU
        cfg.optim_wrapper.dtype = dtype


def use_channels_last(cfg: Config) -> None:
    """Train with weights and features laid out as NHWC."""
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='mmca.ChannelsLastHook')]


def scale_learning_rate(cfg: Config) -> None:
    """Scale the learning rate with the total batch size.

    Raises:
        UserError: If the config does not say for which one it is meant.
    """
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise UserError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config')
    cfg.auto_scale_lr.enable = True


def draw_pictures(cfg: Config, args: argparse.Namespace) -> None:
    """Switch on the visualization hook of the config's library.

    Raises:
        UserError: If the config has none.
    """
    hook = (cfg.get('default_hooks') or {}).get('visualization')
    if hook is None:
        raise UserError('--show and --show-dir need default_hooks.visualization in the config')
    hook.update(interval=1, show=args.show, wait_time=args.wait_time)
    library = library_of(hook) or cfg.get('default_scope')
    if library == 'mmpretrain':
        hook.update(enable=True, out_dir=args.show_dir)
        return
    hook.draw = True
    if args.show_dir and library == 'mmdet':
        # It would put a relative path below the work dir.
        hook.test_out_dir = str(Path(args.show_dir).absolute())
    elif args.show_dir:
        cfg.visualizer.save_dir = args.show_dir


def check_folders(cfg: Config, show_dir: str | None = None) -> None:
    """Raise a UserError if a folder that the run writes to cannot be made or written to."""
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    for name, folder in (
        ('--work-dir', cfg.work_dir),
        ('default_hooks.checkpoint.out_dir', hook.get('out_dir')),
        ('--show-dir', show_dir),
    ):
        if not folder or '://' in str(folder):
            continue
        try:
            os.makedirs(folder, exist_ok=True)
            reason = '' if os.access(folder, os.W_OK) else 'no permission to write'
        except OSError as error:
            reason = 'a file of that name exists' if os.path.isfile(folder) else error.strerror
        if reason:
            raise UserError(
                f'{name} {folder}: cannot be written to ({reason}); give another folder'
            )


def check_out(out: str) -> None:
    """Raise a UserError if metrics cannot be written to ``out``; makes its folder."""
    try:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'--out {out}: its folder cannot be made ({error.strerror})') from error
    if os.path.isdir(out):
        raise UserError(f'--out {out}: is a folder; give the name of a file in it')
    if Path(out).suffix.lower() in ('.pkl', '.pickle'):
        raise UserError(
            f'--out {out}: metrics are written as JSON; name a .json. Predictions are written by '
            'test_evaluator=dict(type="mmengine.DumpResults", out_file_path="FILE.pkl")'
        )


def class_metrics(evaluator: Evaluator) -> dict[str, float]:
    """Figures of each class, of the metrics that keep them."""
    kept = [getattr(metric, 'per_class', {}) for metric in evaluator.metrics]
    return {name: value for figures in kept for name, value in figures.items()}


def write_metrics(metrics: dict, out: str) -> None:
    """Write what a test measured as JSON, once of several processes."""
    if is_main_process():
        write_atomic(out, f'{json.dumps(_as_json(metrics), indent=2)}\n'.encode())


def _as_json(value: Any) -> Any:
    """Numbers with four decimals, arrays as lists; null for what is not a number."""
    if isinstance(value, (torch.Tensor, np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
