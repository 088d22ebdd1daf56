"""The metrics that an evaluator will give, against those that are waited for."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import DATASETS, METRICS

from mmca.config_walk import config_datasets, config_metrics, leaf_transforms, type_name

from .built import class_of
from .class_names import class_names
from .class_numbers import has_metainfo
from .findings import some
from .loops import schedulers

_EVALUATORS = {'val_dataloader': 'val_evaluator', 'test_dataloader': 'test_evaluator'}
# In the names of mmdet's parts for masks; CondInst, BoxInst, RTMDetIns and others have "ins".
_MASKED = ('mask', 'ins', 'solo', 'yolact', 'panoptic', 'segm')
_COCO_ITEMS = (
    *('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l'),
    *('AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000'),
)
_RULE_OPTIONS = ('save_best', 'rule', 'greater_keys', 'less_keys')


def metric_problems(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Metrics that cannot be computed, and metrics that are waited for and that nobody gives.

    Only the usual metrics of mmseg, mmdet and mmpretrain are known; beside another one no name
    is taken for wrong.
    """
    problems = list(_head_problems(cfg, loaders))
    for loader in loaders:
        evaluator = _EVALUATORS.get(loader, '')
        if not cfg.get(evaluator) or not cfg.get(loader):
            continue
        try:
            names = evaluator_metrics(cfg, evaluator)
        except ValueError as error:
            problems.append(str(error))
            continue
        if loader == 'val_dataloader' and 'train_dataloader' in loaders:
            problems += _best_problems(cfg, names)
            problems += _monitor_problems(cfg, names)
    return problems


def _head_problems(cfg: Config, loaders: Sequence[str]) -> Iterator[str]:
    """What a classifier's head would measure, or learn, and cannot: told by its own options."""
    model = cfg.get('model') or {}
    head = model.get('head')
    if type_name(model) == 'ImageClassifier' and head is None and 'train_dataloader' in loaders:
        yield (
            'model.head is not set, and a classifier learns by it: set '
            "model.head=dict(type='LinearClsHead', num_classes=..., in_channels=...)"
        )
    classes = head.get('num_classes') if isinstance(head, Mapping) else None
    if 'train_dataloader' not in loaders or not isinstance(classes, int):
        return
    topk = head.get('topk') or 1
    if head.get('cal_acc') and max([topk] if isinstance(topk, int) else topk) > classes:
        yield f'model.head.topk={topk}: there are {classes} classes; set model.head.topk=(1,)'
    preprocessor = model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    mixing = (model.get('train_cfg') or {}).get('augments') or preprocessor.get('batch_augments')
    number = preprocessor.get('num_classes')
    if mixing and number != classes:
        yield (
            f'data_preprocessor.num_classes={number}, by which images are mixed '
            f'(model.train_cfg.augments), but model.head.num_classes={classes}: make them equal'
        )


def evaluator_metrics(cfg: Config, evaluator: str) -> list[str] | None:
    """Names of the numbers that an evaluator gives, in order; None if they are not known.

    Raises:
        ValueError: If a metric cannot be computed.
    """
    known, names = True, []
    for metric in config_metrics(cfg, [evaluator]):
        kind = class_of(cfg, metric, METRICS)
        give = _GIVEN.get(_computed_by(kind))
        if give is None or metric.get('format_only'):
            known = False
            continue
        options = {key: metric[key] for key in metric if key not in ('type', '_scope_')}
        try:
            _check_truth(cfg, evaluator, kind, options)
            given = give(cfg, kind, options)
        # The libraries' own words for an option that is out of range.
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise ValueError(f'{evaluator}: {kind.__name__}: {_words(error)}') from None
        prefix = metric.get('prefix') or kind.default_prefix
        names += [f'{prefix}/{name}' if prefix else name for name in given]
    custom = type_name(cfg[evaluator]) if isinstance(cfg[evaluator], Mapping) else ''
    if custom.endswith('Evaluator') and custom != 'Evaluator':
        return None  # it may name them in its own way
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(
            f'{evaluator}: two metrics give {twice[0]}: give one of them another prefix, e.g. '
            "prefix='second'"
        )
    return names if known else None


def _check_truth(cfg: Config, evaluator: str, kind: type, options: dict) -> None:
    """Raise a ValueError if a metric has nothing to compare with, or no classes to count."""
    computed_by = _computed_by(kind)
    loader = next(name for name, of in _EVALUATORS.items() if of == evaluator)
    leaves = [leaf for _, leaf in config_datasets(cfg, [loader])]
    if computed_by == 'mmseg.IoUMetric':
        kinds = [(class_of(cfg, leaf, DATASETS), leaf) for leaf in leaves]
        if any(has_metainfo(of) and not class_names(of, leaf)[0] for of, leaf in kinds):
            raise ValueError(
                f'the data of the {loader} names no classes: set its metainfo=dict(classes=(...))'
            )
    if computed_by != 'mmdet.CocoMetric' or options.get('ann_file'):
        return
    transforms = [item for leaf in leaves for item in leaf_transforms(leaf.get('pipeline') or [])]
    if any('instances' in (item.get('meta_keys') or ()) for item in transforms):
        return
    names = [
        os.path.join(leaf.get('data_root') or '', leaf.get('ann_file') or '') for leaf in leaves
    ]
    given = f'that of the {loader}, ann_file={min(names)!r}'
    if not all(name.endswith('.json') for name in names):
        given = "one in COCO's format, or take dict(type='mmca.VOCMetric'), which needs none"
    raise ValueError(f'without ann_file there are no boxes to compare with: give {given}')


def _computed_by(kind: type | None) -> str:
    """The class of a library, e.g. 'mmdet.CocoMetric', by whose code a metric is computed."""
    for base in getattr(kind, '__mro__', ()):
        library = base.__module__.partition('.')[0]
        if 'compute_metrics' in vars(base) and library != 'mmca':
            return f'{library}.{base.__name__}'
    return ''


def _iou_names(cfg: Config, kind: type, options: dict) -> list[str]:
    areas = [torch.ones(2)] * 4
    given = kind.total_area_to_metrics(*areas, options.get('iou_metrics', ['mIoU']))
    return [name if name == 'aAcc' else f'm{name}' for name in given]


def _coco_names(cfg: Config, kind: type, options: dict) -> list[str]:
    names = []
    metrics = options.get('metric', 'bbox')
    if unknown := [item for item in options.get('metric_items') or () if item not in _COCO_ITEMS]:
        raise ValueError(f'metric_items {some(unknown)}: there are {", ".join(_COCO_ITEMS)}')
    # pycocotools compares them as an array, which no list of a config is.
    by_list = options.get('iou_thrs') is not None and 'faster_coco_eval' not in sys.modules
    if by_list and 'proposal_fast' not in metrics:
        raise ValueError(
            f'iou_thrs={options["iou_thrs"]} cannot be evaluated: leave it out, and take '
            "metric_items=['mAP', 'mAP_50', 'mAP_75'] for single ones"
        )
    for metric in [metrics] if isinstance(metrics, str) else metrics:
        items = options.get('metric_items')
        if metric == 'proposal_fast':
            names += [f'AR@{number}' for number in options.get('proposal_nums', (100, 300, 1000))]
        elif metric == 'proposal':
            sizes = ['AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000']
            names += items or sizes
        elif metric == 'segm' and not _predicts_masks(cfg.get('model')):
            raise ValueError(
                "metric='segm' measures masks, and the model predicts boxes alone: metric='bbox'"
            )
        elif metric in ('bbox', 'segm'):
            if options.get('classwise'):
                names += _class_names(cfg)
            items = items or ['mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l']
            names += [f'{metric}_{item}' for item in items]
        else:
            raise ValueError(f'metric={metric!r} is none of bbox, segm, proposal, proposal_fast')
    return list(dict.fromkeys(names))


def _predicts_masks(model: object) -> bool:
    """Whether a model of mmdet is not plainly one of boxes."""
    text = str(model).lower()
    return 'bbox_head' not in text or any(word in text for word in _MASKED)


def _class_names(cfg: Config) -> list[str]:
    datasets = [leaf for _, leaf in config_datasets(cfg, ['val_dataloader', 'test_dataloader'])]
    classes = [class_names(class_of(cfg, leaf, DATASETS), leaf)[0] for leaf in datasets]
    return [f'{name}_precision' for names in classes for name in names]


def _voc_names(cfg: Config, kind: type, options: dict) -> list[str]:
    metric = options.get('metric', 'mAP')
    metric = metric if isinstance(metric, str) else metric[0]
    given = options.get('iou_thrs', 0.5)
    thresholds = given if isinstance(given, (list, tuple)) else [given]
    if metric == 'mAP':
        return ['mAP', *(f'AP{int(threshold * 100):02d}' for threshold in thresholds)]
    if metric != 'recall':
        raise ValueError(f'metric={metric!r} is neither mAP nor recall')
    numbers = options.get('proposal_nums', (100, 300, 1000))
    recalls = [f'recall@{number}@{threshold}' for number in numbers for threshold in thresholds]
    return recalls + [f'AR@{number}' for number in numbers if len(thresholds) > 1]


def _label_names(cfg: Config, kind: type, options: dict) -> list[str]:
    """By computing them of one image."""
    topk = options.get('topk', 1)
    head = (cfg.get('model') or {}).get('head') or {}
    given = head.get('num_classes') if isinstance(head, Mapping) else None
    classes = given or max([topk] if isinstance(topk, int) else topk)
    result = dict(pred_score=torch.zeros(classes), gt_label=torch.zeros(1, dtype=torch.int64))
    result['num_classes'] = classes
    given = kind(**options).compute_metrics([result])
    return [name for name, value in given.items() if not isinstance(value, (list, tuple))]


_GIVEN: dict[str, Callable[[Config, type, dict], list[str]]] = {
    'mmseg.IoUMetric': _iou_names,
    'mmdet.CocoMetric': _coco_names,
    'mmdet.VOCMetric': _voc_names,
    'mmpretrain.Accuracy': _label_names,
    'mmpretrain.SingleLabelMetric': _label_names,
}


def _best_problems(cfg: Config, names: list[str] | None) -> Iterator[str]:
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if not (best := hook.get('save_best')):
        return
    wanted = [best] if isinstance(best, str) else list(best)
    unknown = [name for name in wanted if names is not None and name not in ('auto', *names)]
    for name in unknown:
        yield _not_given(f'default_hooks.checkpoint.save_best={name!r}', name, names)
    if unknown:
        return
    options = {key: hook[key] for key in _RULE_OPTIONS if key in hook}
    if best == 'auto' and names:
        options['save_best'] = names[0]
    try:
        CheckpointHook(**options)
    except (ValueError, KeyError, AssertionError) as error:
        yield (
            f'default_hooks.checkpoint.save_best={best!r}: {_words(error)} Say which is better, '
            "default_hooks.checkpoint.rule='greater' or 'less'"
        )


def _monitor_problems(cfg: Config, names: list[str] | None) -> Iterator[str]:
    monitors = [
        (f'{path}.monitor', scheduler.get('monitor', 'loss'))
        for path, scheduler in schedulers(cfg)
        if type_name(scheduler).startswith('ReduceOnPlateau')
    ]
    given = cfg.get('custom_hooks') or []
    hooks = list(enumerate([given] if isinstance(given, (str, Mapping)) else given))
    if isinstance(given, Mapping):
        yield 'custom_hooks is a dict: write a list, custom_hooks=[dict(...)]'
    for index, hook in hooks:
        if not isinstance(hook, (Mapping, Hook)):
            yield (
                f'custom_hooks.{index} is {hook!r}, no dict: write '
                "custom_hooks = [dict(type='...')]"
            )
    monitors += [
        (f'custom_hooks.{index}.monitor', hook.get('monitor', ''))
        for index, hook in hooks
        if isinstance(hook, Mapping) and type_name(hook) == 'EarlyStoppingHook'
    ]
    for path, name in monitors:
        if names is not None and name not in names:
            yield _not_given(f'{path}={name!r}', name, names)


def _words(error: Exception) -> str:
    return str(error.args[0]) if error.args else type(error).__name__


def _not_given(setting: str, name: str, names: list[str]) -> str:
    near = next((known for known in names if known.rpartition('/')[2] == name), '')
    meant = f': did you mean {near!r}?' if near else ': name one of them'
    return f'{setting} is not among what val_evaluator gives, {", ".join(names)}{meant}'
