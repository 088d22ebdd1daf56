"""The datasets of a config as its library builds them, without their pipelines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, Registry

from mmca.config_walk import config_datasets, leaf_transforms, type_name

T = TypeVar('T')


def built_datasets(
    cfg: Config, loaders: Sequence[str], base: str, problems: list[str] | None = None
) -> Iterator[tuple[str, dict, BaseDataset]]:
    """(loader's name, dataset's config, dataset) for each dataset of a kind, nothing read yet.

    One that cannot be built is left out.

    Args:
        cfg (Config): A config of mmseg or mmpretrain.
        loaders (Sequence[str]): Names of its dataloaders.
        base (str): Class that the datasets derive from, e.g. 'mmseg.BaseSegDataset'.
        problems (list[str] | None): Where to add a line for a dataset that cannot be built.
    """
    for loader, leaf in config_datasets(cfg, loaders):
        kind = class_of(cfg, leaf, DATASETS)
        if kind is None or not derives(kind, base):
            continue
        try:
            yield loader, leaf, build_unread(kind, leaf)
        except Exception as error:  # the class may be anyone's
            if problems is not None:
                reason = str(error) or type(error).__name__
                problems.append(f'{loader}: {kind.__name__} cannot be built: {reason}')


def class_of(cfg: Config, part: Mapping, registry: Registry) -> type | None:
    """The class that a part's ``type`` is or names in a registry of mmengine; None if unknown."""
    kind = part.get('type')
    if not isinstance(kind, str):
        return kind
    scope = cfg.get('default_scope') or 'mmengine'
    return registry.get(kind if '.' in kind else f'{scope}.{kind}')


def derives(kind: type, base: str) -> bool:
    """Whether a class is, or is derived from, one of a library, such as 'mmseg.BaseSegDataset'."""
    # By name: importing mmseg for a classifier would take seconds.
    library, _, name = base.partition('.')
    return any(
        ancestor.__name__ == name and ancestor.__module__.split('.')[0] == library
        for ancestor in kind.__mro__
    )


def build_unread(kind: type[BaseDataset], leaf: Mapping) -> BaseDataset:
    """A dataset without pipeline, its annotations not read yet; whatever errors its class has."""
    given = {key: value for key, value in leaf.items() if key != 'type'}
    return kind(**{**given, 'pipeline': [], 'lazy_init': True, 'serialize_data': False})


def entries_of(dataset: BaseDataset) -> list[dict]:
    """What the library will load; nothing if the data lies elsewhere than on this machine.

    Nothing, too, if a list or folder is missing or malformed: other checks tell that.
    """
    if not is_local(dataset.data_prefix.get('img_path') or ''):
        return []
    try:
        return dataset.load_data_list()
    except Exception:  # the class may be anyone's
        return []


def loader_in(dataset: dict, *names: str) -> dict | None:
    """The transform of a dataset's pipeline that loads images or masks, one of mmca's or mmcv's.

    None if there is none, or one that decodes other formats: what it reads is not looked at.
    """
    for transform in leaf_transforms(dataset.get('pipeline') or []):
        if type_name(transform) in names:
            backend = transform.get('imdecode_backend', 'pillow')
            return transform if backend in ('pillow', 'cv2') else None
    return None


def is_local(path: str) -> bool:
    """Whether a path is no address such as s3://bucket/x."""
    return '://' not in str(path)


def spread(items: Sequence[T], number: int) -> list[T]:
    """At most ``number`` of ``items``, evenly spaced, the first one among them."""
    step = max(len(items) / number, 1)
    return [items[int(index * step)] for index in range(min(len(items), number))]


def grouped(found: Sequence[tuple[str, str]]) -> list[str]:
    """One line for each different message of (file, message) pairs: a file, and how many more."""
    files: dict[str, list[str]] = {}
    for file, message in found:
        files.setdefault(message, []).append(file)
    return [
        f'{names[0]}: {message}' + (f' ({len(names) - 1} more like it)' if names[1:] else '')
        for message, names in files.items()
    ]
