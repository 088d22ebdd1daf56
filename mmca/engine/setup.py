"""What ``tools/train.py`` and ``tools/test.py`` do to a config before the Runner sees it."""

import argparse
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader

from mmca.checkpoint import CheckpointError, load_file

from .data_check import config_datasets, config_metrics, set_data_root
from .distributed import communicating, connection_lost, keep_total_batch


def load_config(args: argparse.Namespace) -> Config:
    """Read the config of ``args`` and apply the options that training and testing share.

    Raises:
        SystemExit: If there is no such config.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if not Path(args.config).is_file():
        raise SystemExit(f'{args.config}: no such config; they are in configs/')
    # Checkpoints come from anywhere: never run code from one.
    CheckpointLoader.register_scheme('', load_from_local, force=True)
    CheckpointLoader.register_scheme(['http://', 'https://'], load_from_http, force=True)
    _use_faster_coco_eval()  # reading a config may import mmdet, and that pycocotools
    cfg = Config.fromfile(args.config)
    options = dict(args.cfg_options)
    data_root = args.data_root or options.pop('data_root', None)
    cfg.merge_from_dict(options)
    if data_root:
        set_data_root(cfg, data_root)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    _name_files_in_errors(cfg)
    return cfg


# mmengine's log speaks of "the local backend" and of "http" because of these names.
def load_from_local(filename: str, map_location: str | None) -> dict:
    return load_file(filename, map_location or 'cpu')


def load_from_http(filename: str, map_location: str | None) -> dict:
    return load_file(filename, map_location or 'cpu')


def _name_files_in_errors(cfg: Config) -> None:
    """Load evaluation images with mmca's transforms; the inferencers need mmcv's in a config."""
    datasets = config_datasets(cfg, ('val_dataloader', 'test_dataloader'))
    pipelines = [dataset.get('pipeline', []) for _, dataset in datasets]
    for transform in _flat([*pipelines, cfg.get('tta_pipeline', [])]):
        if transform['type'] == 'LoadImageFromFile':
            transform['type'] = 'mmca.LoadImageFromFile'
        elif transform['type'] == 'LoadAnnotations' and 'decode_head' in cfg.model:
            head = cfg.model.decode_head
            head = head[-1] if isinstance(head, list) else head
            transform['type'] = 'mmca.LoadSegAnnotations'
            transform['num_classes'] = head.num_classes
            transform['ignore_index'] = head.get('ignore_index', 255)


def _flat(transforms: list) -> Iterator[dict]:
    """Transforms of nested lists and of TestTimeAug."""
    for item in transforms:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item
            yield from _flat(item.get('transforms', []))


def _fit_to_device(cfg: Config) -> str:
    """Without a GPU, drop what needs one; returns what to say about it."""
    if torch.cuda.is_available():
        return ''
    dropped = []
    if cfg.pop('sync_bn', None):
        dropped.append('batch norm is not synchronised')
    if cfg.get('optim_wrapper', {}).get('type') == 'AmpOptimWrapper':
        cfg.optim_wrapper.type = 'OptimWrapper'
        for key in ('loss_scale', 'dtype'):
            cfg.optim_wrapper.pop(key, None)
        dropped.append('precision is float32 (no AMP)')
    return f'No GPU found: {", ".join(dropped)}.' if dropped else ''


def _use_faster_coco_eval() -> None:
    """Put faster-coco-eval, where it is installed, in the place of pycocotools."""
    if importlib.util.find_spec('faster_coco_eval') is not None:
        import faster_coco_eval

        faster_coco_eval.init_as_pycocotools()


def _coco_evaluation(cfg: Config) -> str:
    """What to say about the evaluation of COCO metrics."""
    wanted = any(metric.get('type') == 'CocoMetric' for metric in config_metrics(cfg))
    used = sys.modules.get('faster_coco_eval')
    return f'COCO evaluation by faster-coco-eval {used.__version__}.' if wanted and used else ''


def run(cfg: Config, action: str) -> dict | None:
    """Build the Runner and call its ``train`` or ``test``.

    A bad checkpoint, and the loss of another process, end in one message.
    """
    notes = [_fit_to_device(cfg), _coco_evaluation(cfg)]
    try:
        with communicating(cfg):
            runner = Runner.from_cfg(cfg)
        for note in filter(None, notes):  # not before: the Runner opens the log file
            runner.logger.warning(note)
        if action == 'train':
            keep_total_batch(runner)
        return getattr(runner, action)()
    except CheckpointError as error:
        raise SystemExit(f'Error: {error}') from error
    except RuntimeError as error:
        if message := connection_lost(error):
            raise SystemExit(f'Error: {message}') from error
        raise
