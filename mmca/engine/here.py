"""What is run in place of what a config says, on this machine and by this command.

The config itself stays as the user wrote it: see :class:`mmca.engine.runner.Runner`.
"""

import copy
import importlib
import sys

import torch
from mmengine.config import Config

from mmca.config_walk import (
    LOADERS,
    config_datasets,
    config_metrics,
    leaf_transforms,
    library_of,
    type_name,
)
from mmca.errors import UserError

from .unlabelled import do_without_truth

# Whose LoadImageFromFile is mmcv's, by a bare name, too.
_LOADING_LIBRARIES = ('', 'mmcv', 'mmseg', 'mmdet', 'mmpretrain')


def as_run_here(cfg: Config, augmented: bool = False) -> Config:
    """A changed copy of ``cfg``; its ``notes`` are what to say about it.

    Args:
        cfg (Config): A config.
        augmented (bool): Whether to test with the config's test-time augmentation.

    Raises:
        UserError: If the config has no test-time augmentation.
    """
    here = copy.deepcopy(cfg)
    _name_files_in_errors(here)
    _keep_folders_of_pictures(here)
    _keep_classes_of_metrics(here)
    notes = [do_without_truth(here), _evaluation_note(here)]
    if augmented:
        _augment_test(here)
    if not torch.cuda.is_available():
        notes.append(_do_without_gpu(here))
    here.notes = [note for note in notes if note]
    return here


def _name_files_in_errors(cfg: Config) -> None:
    """Load images and masks by mmca's transforms."""
    pipelines = [dataset.get('pipeline') or [] for _, dataset in config_datasets(cfg, LOADERS)]
    for transform in leaf_transforms([*pipelines, cfg.get('tta_pipeline') or []]):
        name, library = type_name(transform), library_of(transform)
        if name == 'LoadImageFromFile' and library in _LOADING_LIBRARIES:
            transform['type'] = 'mmca.LoadImageFromFile'
            transform.setdefault('imdecode_backend', 'cv2')  # mmcv's default
        elif name == 'LoadAnnotations' and library in ('', 'mmseg') and 'decode_head' in cfg.model:
            head = cfg.model.decode_head
            head = head[-1] if isinstance(head, list) else head
            importlib.import_module('mmca.datasets.transforms.segmentation')
            transform['type'] = 'mmca.LoadSegAnnotations'
            transform['num_classes'] = head.num_classes
            transform['ignore_index'] = head.get('ignore_index', 255)


def _keep_folders_of_pictures(cfg: Config) -> None:
    hook = (cfg.get('default_hooks') or {}).get('visualization')
    if hook and (hook.get('draw') or hook.get('enable')):
        wrapped = dict(type='mmca.FolderwiseVisualizationHook', drawing=hook)
        cfg.default_hooks.visualization = wrapped


def _keep_classes_of_metrics(cfg: Config) -> None:
    """Measure IoU by mmca's metric, whose figures of each class ``--out`` writes."""
    for metric in config_metrics(cfg, ['test_evaluator']):
        library = library_of(metric) or cfg.get('default_scope')
        if type_name(metric) == 'IoUMetric' and library == 'mmseg':
            importlib.import_module('mmca.evaluation.iou_metric')
            metric['type'] = 'mmca.IoUMetric'


def _augment_test(cfg: Config) -> None:
    """Put the test-time augmentation in place of the plain model and pipeline."""
    if not cfg.get('tta_model') or not cfg.get('tta_pipeline'):
        raise UserError('--tta needs tta_model and tta_pipeline in the config')
    for _, dataset in config_datasets(cfg, ['test_dataloader']):
        dataset.pipeline = cfg.tta_pipeline
    cfg.tta_model.module = cfg.model
    cfg.model = cfg.tta_model


def _do_without_gpu(cfg: Config) -> str:
    """Drop what needs one, connect processes through gloo; returns what to say about it."""
    dropped = []
    if cfg.pop('sync_bn', None):
        dropped.append('batch norm is not synchronised')
    if type_name(cfg.get('optim_wrapper') or {}) == 'AmpOptimWrapper':
        low = cfg.optim_wrapper.get('dtype') in ('bfloat16', torch.bfloat16)
        cfg.optim_wrapper.type = 'mmca.BFloat16OptimWrapper' if low else 'OptimWrapper'
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            cfg.optim_wrapper.pop(key, None)
        if not low:
            dropped.append('precision is float32 (no AMP: --amp-bfloat16 works on a CPU)')
    if cfg.launcher != 'none':
        cfg.merge_from_dict({'env_cfg.dist_cfg.backend': 'gloo'})
        if not cfg.get('model_wrapper_cfg'):
            cfg.model_wrapper_cfg = dict(
                type='MMDistributedDataParallel',
                broadcast_buffers=False,
                find_unused_parameters=cfg.get('find_unused_parameters', False),
            )
        # The Runner's default names a GPU.
        cfg.model_wrapper_cfg.device_ids = None
    return f'No GPU found: {", ".join(dropped)}.' if dropped else ''


def _evaluation_note(cfg: Config) -> str:
    wanted = any(type_name(metric) == 'CocoMetric' for metric in config_metrics(cfg))
    used = sys.modules.get('faster_coco_eval')
    return f'COCO evaluation by faster-coco-eval {used.__version__}.' if wanted and used else ''
