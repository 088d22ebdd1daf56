"""Data that is learnt and measured at once: the figures of a validation then say little."""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from mmca.config_walk import config_datasets

from .built import is_local

_COMPARED = 100_000_000  # bytes; longer files are taken by their names


def warn_of_shared_data(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Say on stderr if a validation measures what the training learns; gives no problem.

    That is so if both read the same annotations, or the same list or folder, also as a copy.
    """
    if not {'train_dataloader', 'val_dataloader'} <= set(loaders):
        return []
    learnt = dict(_sources(cfg, 'train_dataloader'))
    for key, path in _sources(cfg, 'val_dataloader'):
        if key in learnt:
            copied = '' if path == learnt[key] else f', a copy of {learnt[key]}'
            print(
                f'Warning: the val_dataloader measures on what the train_dataloader learns: {path}'
                f'{copied}. It does not tell how the model does on other images',
                file=sys.stderr,
            )
            break
    return []


def _sources(cfg: Config, loader: str) -> Iterator[tuple[object, str]]:
    """(what tells one dataset from another, its file or folder) for each with labels."""
    for _, dataset in config_datasets(cfg, [loader]):
        root, file = dataset.get('data_root') or '', dataset.get('ann_file') or ''
        prefixes = dataset.get('data_prefix') or {}
        prefixes = list(prefixes.values()) if isinstance(prefixes, Mapping) else [prefixes]
        # Of which images: lists of several datasets may hold the same names.
        folders = tuple(sorted(os.path.realpath(os.path.join(root, str(p))) for p in prefixes))
        path = Path(root, str(file))
        if not is_local(root) or dataset.get('indices') is not None:
            continue
        if file and path.is_file():
            names = file.endswith('.json')
            yield (_content(path), () if names else folders), str(path)
        elif folders and os.path.isdir(folders[0]) and 'split' not in dataset:
            yield folders, folders[0]


def _content(path: Path) -> str:
    """A digest of a file."""
    if path.stat().st_size > _COMPARED:
        return os.path.realpath(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()
