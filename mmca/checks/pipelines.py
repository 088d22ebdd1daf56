"""Steps that a pipeline lacks, or has in an order that leaves boxes or masks behind."""

from collections.abc import Iterator, Mapping, Sequence

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, TRANSFORMS

from mmca.config_walk import config_metrics, leaf_datasets, leaf_transforms, type_name

from .built import class_of, derives

_LIBRARIES = ('mmcv', 'mmseg', 'mmdet', 'mmpretrain', 'mmca')
# (base of the datasets, what their pipelines end in, whether annotations are loaded by a step)
_KINDS = (
    ('mmseg.BaseSegDataset', 'PackSegInputs', True),
    ('mmdet.BaseDetDataset', 'PackDetInputs', True),
    ('mmpretrain.CustomDataset', 'PackInputs', False),
)
# What moves boxes and pixels; padding, on the right and below, does not.
_MOVING = ('Resize', 'Crop', 'Flip', 'Affine', 'Rotate', 'Expand', 'Shear', 'Translate', 'SSDAug')
_EVALUATORS = {'val_dataloader': 'val_evaluator', 'test_dataloader': 'test_evaluator'}
# Metrics that compare with what the pipeline loaded.
_READING = ('IoUMetric', 'VOCMetric')


def pipeline_problems(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Pipelines of the libraries' own transforms that cannot give what is learnt or measured."""
    problems = []
    for loader in loaders:
        for leaf in leaf_datasets(cfg[loader]['dataset']) if cfg.get(loader) else ():
            kind = class_of(cfg, leaf, DATASETS)
            if isinstance(kind, type) and issubclass(kind, BaseDataset):
                problems += _problems(cfg, loader, leaf, kind)
    return list(dict.fromkeys(problems))


def _problems(cfg: Config, loader: str, leaf: Mapping, kind: type) -> Iterator[str]:
    found = next((rest for base, *rest in _KINDS if derives(kind, base)), None)
    wrapper = cfg[loader]['dataset']
    transforms = [*_transforms(leaf), *(() if leaf is wrapper else _around(wrapper, leaf))]
    names = [type_name(transform) for transform in transforms]
    if found is None or not all(_is_library(cfg, transform) for transform in transforms):
        return
    packs, loads = found
    if not any('Load' in name and not _loads_truth(name) for name in names):
        yield f"{loader}: its pipeline loads no image: begin it with dict(type='LoadImageFromFile')"
    # Within the branches of mmdet's MultiBranch, too.
    if 'Pack' not in str(transforms) and 'Collect' not in names:
        yield f"{loader}: its pipeline gives the model nothing: end it in dict(type='{packs}')"
    compared = loader == 'train_dataloader' or _is_read(cfg, loader)
    if not loads or not compared:
        return
    place = next((i for i, name in enumerate(names) if _loads_truth(name)), None)
    if place is None:
        # A test without masks says so later.
        if loader != 'test_dataloader' or packs != 'PackSegInputs':
            yield (
                f'{loader}: its pipeline loads no boxes or masks, which are '
                f'{"learnt" if loader == "train_dataloader" else "measured"}: add '
                "dict(type='LoadAnnotations')"
            )
    elif loader == 'train_dataloader':
        if early := [name for name in names[:place] if _has(name, _MOVING)]:
            yield (
                f'{loader}: {early[0]} comes before {names[place]}, so that boxes and masks stay '
                'where they were in the file: load them first'
            )
    elif late := [name for name in names[place:] if _has(name, _MOVING)]:
        yield (
            f'{loader}: {late[0]} comes after {names[place]}, but predictions are compared in the '
            f'size of the file: put {names[place]} after it'
        )


def _transforms(dataset: Mapping) -> list[Mapping]:
    return list(leaf_transforms(dataset.get('pipeline') or []))


def _around(dataset: Mapping, leaf: Mapping) -> list[Mapping]:
    """Transforms of the wrappers of a dataset, the innermost first."""
    inner = dataset.get('datasets') or ([dataset['dataset']] if 'dataset' in dataset else [])
    for child in inner:
        if any(item is leaf for item in leaf_datasets(child)):
            return [*([] if child is leaf else _around(child, leaf)), *_transforms(dataset)]
    return []


def _is_library(cfg: Config, transform: Mapping) -> bool:
    kind = class_of(cfg, transform, TRANSFORMS)
    return getattr(kind, '__module__', '').partition('.')[0] in _LIBRARIES


def _is_read(cfg: Config, loader: str) -> bool:
    """Whether a metric compares predictions with what the pipeline loaded."""
    metrics = config_metrics(cfg, [_EVALUATORS[loader]])
    return any(type_name(m) in _READING and not m.get('format_only') for m in metrics)


def _loads_truth(name: str) -> bool:
    return 'Load' in name and _has(name, ('Annotation', 'Biomedical'))


def _has(name: str, words: Sequence[str]) -> bool:
    return any(word in name for word in words)
