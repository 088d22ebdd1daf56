"""Data that is learnt and measured at once: the figures of a validation then say little."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from mmca.config_walk import config_datasets

from .built import is_local

COMPARED = 100_000_000  # bytes; longer files are taken by their names
# What the libraries call the folder of the images.
_IMAGE_FOLDERS = ('img', 'img_path', 'sub_data_root')


def warn_of_shared_data(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Say on stderr if a validation measures what the training learns; gives no problem.

    That is so if both read the same annotations, or the same list or folder, also as a copy, or if
    lists or files in COCO's format name images of both.
    """
    pair = 'train_dataloader', 'val_dataloader'
    if not set(pair) <= set(loaders) or any('KFoldDataset' in str(cfg.get(name)) for name in pair):
        return []
    learnt = dict(_sources(cfg, 'train_dataloader'))
    said = ''
    for key, path in _sources(cfg, 'val_dataloader'):
        if key in learnt:
            copied = '' if path == learnt[key] else f', a copy of {learnt[key]}'
            said = f'measures on what the train_dataloader learns: {path}{copied}'
            break
    else:
        measured, trained = (_images(cfg, name) for name in pair[::-1])
        if both := measured & trained:
            said = (
                f'measures on {len(both)} of its {len(measured)} images, such as {min(both)}, '
                'which the train_dataloader learns'
            )
    if said:
        print(
            f'Warning: the val_dataloader {said}. It does not tell how the model does on other '
            'images',
            file=sys.stderr,
        )
    return []


def _sources(cfg: Config, loader: str) -> Iterator[tuple[object, str]]:
    """(what tells one dataset from another, its file or folder) for each with labels."""
    for dataset, path in datasets_read_whole(cfg, loader):
        prefixes = dataset.get('data_prefix') or {}
        prefixes = list(prefixes.values()) if isinstance(prefixes, Mapping) else [prefixes]
        # Of which images: lists of several datasets may hold the same names.
        root = dataset.get('data_root') or ''
        folders = tuple(sorted(os.path.realpath(os.path.join(root, str(p))) for p in prefixes))
        if path is not None:
            names = path.suffix == '.json'
            yield (_content(path), () if names else folders), str(path)
        elif folders and os.path.isdir(folders[0]) and 'split' not in dataset:
            yield folders, folders[0]


def datasets_read_whole(cfg: Config, loader: str) -> Iterator[tuple[Mapping, Path | None]]:
    """(config, file of annotations or list) of the datasets that are here, and read as a whole."""
    for _, dataset in config_datasets(cfg, [loader]):
        root, file = dataset.get('data_root') or '', dataset.get('ann_file') or ''
        path = Path(root, str(file))
        if is_local(root) and dataset.get('indices') is None and (not file or os.path.isfile(path)):
            yield dataset, path if file else None


def _images(cfg: Config, loader: str) -> set[str]:
    """Paths of the images that the lists and files of a loader name."""
    found = set()
    for dataset, path in datasets_read_whole(cfg, loader):
        if path is None or path.stat().st_size > COMPARED:
            continue
        prefix = dataset.get('data_prefix') or ''
        if isinstance(prefix, Mapping):
            prefix = next((prefix[key] for key in _IMAGE_FOLDERS if key in prefix), '')
        folder = os.path.realpath(os.path.join(dataset.get('data_root') or '', str(prefix)))
        try:
            found |= {os.path.normpath(os.path.join(folder, name)) for name in _names(path)}
        except (ValueError, TypeError, KeyError):  # malformed; another check says so
            continue
    return found


def names_in_json(path: Path) -> list[str]:
    """Names of the images in a file in COCO's format."""
    return [image['file_name'] for image in json.loads(path.read_bytes())['images']]


def _names(path: Path) -> list[str]:
    if path.suffix == '.json':
        return names_in_json(path)
    lines = [line.strip() for line in path.read_text(encoding='utf-8').splitlines()]
    # mmpretrain's have a label behind the name.
    labelled = all(line.rpartition(' ')[2].isdecimal() and ' ' in line for line in lines if line)
    return [line.rpartition(' ')[0] if labelled else line for line in lines if line]


def _content(path: Path) -> str:
    """A digest of a file."""
    if path.stat().st_size > COMPARED:
        return os.path.realpath(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()
