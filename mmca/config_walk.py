"""Finding datasets, transforms and metrics in a config of mmseg, mmdet or mmpretrain."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mmengine.config import Config

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def type_name(cfg: Mapping) -> str:
    """Name of the class that a config's ``type`` is or names, without scope and module.

    'CocoDataset' for ``'CocoDataset'``, ``'mmdet.CocoDataset'`` and, as in a pure Python config,
    the class itself or the full path of its module; '' if there is no type.
    """
    kind = cfg.get('type') or ''
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]


def library_of(cfg: Mapping) -> str:
    """First part of the name or module of a config's ``type``; '' for a bare name."""
    kind = cfg.get('type') or ''
    named = kind if isinstance(kind, str) else f'{kind.__module__}.'
    return named.partition('.')[0] if '.' in named else ''


def leaf_datasets(dataset: dict) -> Iterator[dict]:
    """The datasets inside wrappers such as ConcatDataset and RepeatDataset."""
    inner = dataset.get('datasets') or ([dataset['dataset']] if 'dataset' in dataset else [])
    if not inner:
        yield dataset
    for child in inner:
        yield from leaf_datasets(child)


def config_datasets(cfg: Config, loaders: Sequence[str]) -> Iterator[tuple[str, dict]]:
    """(loader's name, dataset config) for each dataset of the loaders that ``cfg`` has."""
    for loader in loaders:
        if cfg.get(loader):
            for dataset in leaf_datasets(cfg[loader]['dataset']):
                yield loader, dataset


def leaf_transforms(pipeline: Iterable) -> Iterator[dict]:
    """Transforms of a pipeline and of its nested lists, as in TestTimeAug."""
    for item in pipeline:
        if isinstance(item, (list, tuple)):
            yield from leaf_transforms(item)
        else:
            yield item
            yield from leaf_transforms(item.get('transforms', []))


def loading_of(pipeline: Sequence[Mapping]) -> dict:
    """How a pipeline decodes an image file: options for ``mmca.LoadImageFromFile``."""
    first = next((t for t in pipeline if type_name(t) == 'LoadImageFromFile'), {})
    # The default of mmcv, and that of ours.
    options = {'imdecode_backend': 'pillow' if library_of(first) == 'mmca' else 'cv2'}
    kept = 'imdecode_backend', 'color_type'
    return options | {name: first[name] for name in kept if name in first}


def config_metrics(
    cfg: Config, evaluators: Sequence[str] = ('val_evaluator', 'test_evaluator')
) -> Iterator[dict]:
    """The metrics of the evaluators that ``cfg`` has."""
    for name in evaluators:
        evaluator = cfg.get(name) or []
        metrics = evaluator.get('metrics', evaluator) if isinstance(evaluator, dict) else evaluator
        yield from metrics if isinstance(metrics, (list, tuple)) else [metrics]
