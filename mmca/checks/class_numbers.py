"""``num_classes`` of a model's heads against the classes of its data."""

import inspect
from collections.abc import Iterator, Mapping, Sequence

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.fileio import load
from mmengine.registry import DATASETS, MODELS

from mmca.config_walk import config_datasets, type_name

from .built import build_unread, class_of, is_local
from .class_folders import class_folders, read_labels
from .class_names import class_names

# Parts of a model whose num_classes are not those of the data: objects or not, another network,
# things and stuff, the arguments of a loss.
_APART = (
    'rpn_head',
    'semantic_head',
    'panoptic_fusion_head',
    'backbone',
    'neck',
    'teacher',
    'teacher_config',
    'reid',
    'data_preprocessor',
    'train_cfg',
    'test_cfg',
)
# Heads that tell something else, such as edges from the rest.
_OTHER_HEADS = ('STDCHead', 'MultiTaskHead', 'VPDDepthHead')
# Datasets whose classes are those of several heads, or more than are looked for.
_OTHER_DATASETS = (
    'CocoPanopticDataset',
    'ADE20KPanopticDataset',
    'ReIDDataset',
    'MOTChallengeDataset',
)
_SHOWN = 5


def class_number_problems(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Heads with another number of classes than a dataset of the run.

    A dataset's classes are those of its ``metainfo`` or ``classes``, also as a file that lists
    them, of its class, or its folders. The data need not be there.
    """
    model = cfg.get('model') or {}
    if 'language_model' in model:  # any class that one can name
        return []
    heads = dict(_heads(cfg, model, 'model'))
    found: dict[tuple[str, int, str], list[str]] = {}
    problems = []
    for loader, leaf, kind in class_datasets(cfg, loaders):
        try:
            names, given = class_names(kind, leaf)
        except ValueError as error:
            problems.append(f'{loader}: {error}')
            continue
        if names:
            source = f'of {kind.__name__}' if given is None else 'in metainfo'
            source = f'in {given}' if isinstance(given, str) else source
            number, source = len(names), f'{_some(names)} {source}'
        else:
            number, source = _counted(loader, kind, leaf)
        for path, head in heads.items():
            if number and not _fits(head, number):
                found.setdefault((path, number, source), []).append(loader)
    for (path, number, source), of_loaders in found.items():
        given, classes = heads[path]['num_classes'], 'class' if number == 1 else 'classes'
        problems.append(
            f'{path}.num_classes={given}, but the data of {", ".join(dict.fromkeys(of_loaders))} '
            f'has {number} {classes} ({source}): make them equal, '
            f'--cfg-options {path}.num_classes={number}, or metainfo.classes of the dataset'
        )
    return problems


def _heads(cfg: Config, node: object, path: str) -> Iterator[tuple[str, dict]]:
    """(path in the config, config) of each part of a model that has a number of classes."""
    if isinstance(node, (list, tuple)):
        for index, item in enumerate(node):
            yield from _heads(cfg, item, f'{path}.{index}')
        return
    if not isinstance(node, Mapping):
        return
    if type_name(node) not in _OTHER_HEADS and isinstance(_number(cfg, node), int):
        yield path, {**node, 'num_classes': _number(cfg, node)}
    for key, value in node.items():
        if key not in _APART and not key.startswith('loss'):
            yield from _heads(cfg, value, f'{path}.{key}')


def _number(cfg: Config, part: Mapping) -> int | None:
    """The number of classes of a part; what its class takes if the config is silent."""
    if 'num_classes' in part or not type_name(part).endswith('Head'):
        return part.get('num_classes')
    for base in getattr(class_of(cfg, part, MODELS), '__mro__', ()):
        if option := inspect.signature(base.__init__).parameters.get('num_classes'):
            return option.default if isinstance(option.default, int) else None
    return None


def _fits(head: Mapping, number: int) -> bool:
    outputs = head['num_classes']
    if outputs == number or head.get('class_agnostic'):
        return True
    # mmseg tells two classes apart by one output, too.
    losses = head.get('loss_decode') or {}
    losses = losses if isinstance(losses, (list, tuple)) else [losses]
    sigmoid = any(loss.get('use_sigmoid') for loss in losses)
    return (outputs, number) == (1, 2) and sigmoid


def class_datasets(cfg: Config, loaders: Sequence[str]) -> Iterator[tuple[str, dict, type]]:
    """Datasets of a run whose classes one list names: dataloader, config and class of each."""
    for loader, leaf in config_datasets(cfg, loaders):
        kind = class_of(cfg, leaf, DATASETS)
        if has_metainfo(kind) and kind.__name__ not in _OTHER_DATASETS:
            yield loader, leaf, kind


def has_metainfo(kind: type | None) -> bool:
    """Whether a class is a dataset whose classes ``metainfo`` names."""
    return isinstance(kind, type) and issubclass(kind, BaseDataset)


def _counted(loader: str, kind: type[BaseDataset], leaf: Mapping) -> tuple[int, str]:
    """The number of classes that folders or labels have, 0 if it is not known, and of which."""
    try:
        dataset = build_unread(kind, leaf)
    except Exception:  # another check says why
        return 0, ''
    if kind.load_data_list is BaseDataset.load_data_list:  # mmengine's own format
        names = _names_in(dataset.ann_file)
        return len(names), f'{_some(names)} in {dataset.ann_file}'
    if not hasattr(dataset, 'img_prefix') or not getattr(dataset, 'with_label', False):
        return 0, ''
    if dataset.ann_file:
        labels = read_labels(dataset.ann_file) if loader == 'train_dataloader' else []
        return max(labels, default=-1) + 1, f'the labels in {dataset.ann_file}'
    folders = class_folders(dataset.img_prefix) if is_local(dataset.img_prefix) else []
    return len(folders), f'the folders {_some(folders)} in {dataset.img_prefix}'


def _names_in(path: str) -> Sequence[str]:
    """The classes that a file in mmengine's format names."""
    try:
        return load(path)['metainfo'].get('classes') or ()
    except Exception:  # malformed in any way; its dataset says so
        return ()


def _some(names: Sequence[str]) -> str:
    return ', '.join(map(str, names[:_SHOWN])) + (', ...' if len(names) > _SHOWN else '')
