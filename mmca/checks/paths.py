import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from mmca.config_walk import config_datasets

from .built import class_of
from .folders import instead
from .prefixes import setting_problem


def missing_paths(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """One line for each file or folder of a dataset that does not exist, or is not said right.

    The ``data_command`` of a config says how to get its data, if it looks for it where the
    command puts it, in ``prepared_root``: it does not know of a user's own data.
    """
    command, prepared = cfg.get('data_command'), cfg.get('prepared_root')
    missing = {}
    for loader, dataset in config_datasets(cfg, loaders):
        kind = class_of(cfg, dataset, DATASETS)
        known = isinstance(kind, type) and issubclass(kind, BaseDataset)
        if known and (problem := setting_problem(kind, dataset)):
            missing[loader, problem] = f'{loader}: {problem}'
            continue
        for path in _paths(dataset):
            # A Path turns s3://x into s3:/x.
            if ':/' in str(path) or os.path.exists(path):
                continue
            own = not command or dataset.get('data_root') != prepared
            fetch = 'say' if own else f'get the data with `{command}`, or say'
            missing.setdefault(
                path,
                f'No data: the {loader} of this config wants {path}, which does not exist; '
                f'{instead(path, alike=True)}: {fetch} where it is with --data-root DIR '
                f'(now: {dataset.get("data_root")})',
            )
            if path == Path(dataset.get('data_root') or ''):
                break
    return list(missing.values())


def _paths(dataset: dict) -> Iterator[Path]:
    root = Path(dataset.get('data_root') or '')
    if root != Path():
        yield root
    if isinstance(dataset.get('ann_file'), str) and dataset['ann_file']:
        yield root / dataset['ann_file']
    prefixes = dataset.get('data_prefix') or {}
    for prefix in prefixes.values() if isinstance(prefixes, Mapping) else [prefixes]:
        if isinstance(prefix, str):
            yield root / prefix
