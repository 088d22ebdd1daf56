"""Images that mmpretrain's ``CustomDataset`` and ``ImageNet`` will not find, and class folders."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.fileio import list_from_file
from PIL import Image

from mmca.config_walk import type_name

from .built import built_datasets, is_local, spread
from .folders import contents, dead_links, files_below

_LOOKED_FOR = 20_000
_SHOWN = 5


def class_folder_problems(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Problems of mmpretrain's image folders and lists.

    No images, classes without images, lists with lines that are not 'name label', and sets of
    class folders that differ: a label is the place of a folder in the sorted list.
    """
    problems = []
    first: tuple[str, list[str]] | None = None
    learnt: set[int] = set()
    for loader, _, dataset in built_datasets(cfg, loaders, 'mmpretrain.CustomDataset', problems):
        if not is_local(dataset.img_prefix):
            continue
        problems += _unlabelled_problems(cfg, loader, dataset)
        if dataset.ann_file:
            problems += _list_problems(loader, dataset, _number_of_classes(cfg, dataset))
            learnt.update(read_labels(dataset.ann_file) if loader == 'train_dataloader' else ())
            continue
        learnt.add(-1)  # folders: several, or told below
        if dead := dead_links(dataset.img_prefix):
            problems.append(
                f'{loader}: {len(dead)} links lead nowhere, first {dead[0]}: remove them, or '
                'restore what they stand for'
            )
        if not dataset.with_label:
            problems += _empty_problems(loader, dataset, {dataset.img_prefix})
        else:
            folders = class_folders(dataset.img_prefix)
            problems += _folder_problems(loader, dataset, folders)
            if first and folders and folders != first[1]:
                problems.append(_difference(first, (loader, folders), dataset.img_prefix))
            first = first or (f'{loader} ({dataset.img_prefix})', folders)
        _warn_of_unread(loader, dataset)
    if len(learnt) == 1 and learnt != {-1} and _classifies(cfg):
        problems.append(
            f'train_dataloader: {learnt.pop()} is the only label in its lists: nothing is to be '
            'learnt; correct them'
        )
    return problems


def _unlabelled_problems(cfg: Config, loader: str, dataset: BaseDataset) -> Iterator[str]:
    """A line if a training or validation would wait for labels that the dataset does not read."""
    # A test says so later.
    if dataset.with_label or not _classifies(cfg) or loader == 'test_dataloader':
        return
    used = 'learnt' if loader == 'train_dataloader' else 'measured'
    yield (
        f'{loader}: with_label=False reads no labels, and they are {used}: leave it out, and put '
        'the images of each class into a folder, or name images and labels in a list, ann_file'
    )


def _classifies(cfg: Config) -> bool:
    """Whether the model learns by labels; others of mmpretrain do without."""
    return type_name(cfg.get('model') or {}).endswith('Classifier')


def _warn_of_unread(loader: str, dataset: BaseDataset) -> None:
    """Say on stderr which images are left out because of their suffix."""
    kinds = Image.registered_extensions()
    files = files_below(dataset.img_prefix)
    left = [p for p in files if _suffix(p) in kinds and not dataset.is_valid_file(p)]
    if left:
        print(
            f'Warning: {loader}: {len(left)} images such as {min(left)} are left out: extensions '
            f'of the dataset are {", ".join(sorted(dataset.extensions))}',
            file=sys.stderr,
        )


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _number_of_classes(cfg: Config, dataset: BaseDataset) -> int:
    """That of the names, else of the head; 0 if neither is known."""
    if dataset.CLASSES:
        return len(dataset.CLASSES)
    head = (cfg.get('model') or {}).get('head') or {}
    return (head.get('num_classes') if isinstance(head, Mapping) else None) or 0


def class_folders(root: str) -> list[str]:
    """The classes as mmpretrain finds them, hidden folders among them."""
    if not os.path.isdir(root):
        return []
    return sorted(entry.name for entry in os.scandir(root) if entry.is_dir())


def read_labels(path: str) -> list[int]:
    """The labels of a list with lines 'name label'; nothing if it cannot be read."""
    try:
        labels = [line.strip().rpartition(' ')[2] for line in list_from_file(path)]
    except (OSError, UnicodeDecodeError):
        return []
    return [int(label) for label in labels if label.isdecimal()]


def _folder_problems(loader: str, dataset: BaseDataset, folders: list[str]) -> Iterator[str]:
    root = dataset.img_prefix
    if not folders:
        yield f'{loader}: no class folders in {root}: put the images of each class in one; ' + (
            contents(root)
        )
        return
    for hidden in (name for name in folders if name.startswith('.')):
        yield f'{loader}: {root}/{hidden} would count as a class; delete or move it'
    yield from _empty_problems(loader, dataset, {os.path.join(root, name) for name in folders})
    classes = list(dataset.CLASSES or folders)
    if len(classes) != len(folders):
        yield (
            f'{loader}: {len(folders)} class folders in {root} ({_some(folders)}), but '
            f'{len(classes)} classes in metainfo ({_some(classes)}): make them equal'
        )
    elif classes != folders and set(classes) == set(folders):
        place = next(i for i, name in enumerate(folders) if name != classes[i])
        yield (
            f'{loader}: label {place} is the images of {root}/{folders[place]}, but metainfo '
            f'calls it {classes[place]!r}: list the classes in the order of the sorted folders'
        )


def _empty_problems(loader: str, dataset: BaseDataset, folders: set[str]) -> Iterator[str]:
    """Folders without any image: of all, or in training of some."""
    empty = sorted(
        folder for folder in folders if not any(map(dataset.is_valid_file, files_below(folder)))
    )
    extensions = ', '.join(sorted(dataset.extensions))
    if len(empty) == len(folders):
        yield (
            f"{loader}: no image: no file below {dataset.img_prefix} has one of the dataset's "
            f'extensions ({extensions}); {contents(dataset.img_prefix)}'
        )
    elif empty and loader == 'train_dataloader':
        yield (
            f'{loader}: {len(empty)} classes have no image with one of the extensions '
            f'({extensions}): {_some(empty)}; {contents(empty[0])}'
        )


def _difference(first: tuple[str, list[str]], second: tuple[str, list[str]], root: str) -> str:
    name, folders = first
    loader, others = second
    missing = sorted(set(folders) - set(others))
    added = sorted(set(others) - set(folders))
    parts = [
        f'{what} {_some(names)}'
        for what, names in (('without', missing), ('with also', added))
        if names
    ]
    return (
        f'{loader}: the class folders in {root} are not those of {name}: {"; ".join(parts)}; '
        'labels count the sorted folders, so the same label would mean different classes: make '
        'the sets equal (an empty folder is enough)'
    )


def _list_problems(loader: str, dataset: BaseDataset, classes: int) -> Iterator[str]:
    path = dataset.ann_file
    try:
        lines = list_from_file(path)
    except (OSError, UnicodeDecodeError) as error:
        yield f'{loader}: {path}: cannot be read: {error}'
        return
    if not lines:
        yield f'{loader}: {path} names no image'
    images = []
    for number, line in enumerate(lines, 1):
        name, _, label = line.strip().rpartition(' ') if dataset.with_label else (line, '', '0')
        if not name or not label.strip().lstrip('-').isdecimal():
            yield f'{loader}: {path}, line {number}: {line!r} is not an image and its label'
        elif dataset.with_label and classes and not 0 <= int(label) < classes:
            yield (
                f'{loader}: {path}, line {number}: label {label} is outside the {classes} classes '
                f'(0-{classes - 1})'
            )
        else:
            images.append((number, os.path.join(dataset.img_prefix, name)))
    looked_for = spread(images, _LOOKED_FOR)
    gone = [(number, image) for number, image in looked_for if not os.path.isfile(image)]
    if gone:
        yield (
            f'{loader}: {len(gone)} of {len(looked_for)} images named in {path} do not exist, '
            f'first {gone[0][1]} (line {gone[0][0]}); restore them or correct data_prefix; '
            f'{contents(dataset.img_prefix)}'
        )


def _some(names: Sequence[str]) -> str:
    return ', '.join(map(str, names[:_SHOWN])) + (', ...' if len(names) > _SHOWN else '')
