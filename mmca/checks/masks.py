"""What mmseg's masks hold, against the classes of the network and the sizes of their images."""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from mmca.config_walk import config_metrics, type_name
from mmca.images.labels import (
    label_problem,
    label_table,
    present_labels,
    size_problem,
    to_labels,
)
from mmca.images.opening import BadImageError, displayed_size, open_image
from mmca.progress import track

from .built import built_datasets, entries_of, grouped, loader_in, spread
from .kept import Kept, stamp

_LOOKED_AT = 20_000  # masks of a dataset; the loader names bad ones among the others
_EVALUATORS = {'val_dataloader': 'val_evaluator', 'test_dataloader': 'test_evaluator'}
_OBJECT = 255  # what image editors write for "inside"


@dataclass
class _Seen:
    """What the masks of a dataset hold."""

    problems: list[tuple[str, str]]
    labels: set[int]  # of the files
    classes: set[int]  # what they become; the ignored label is none
    masks: int
    ignored: bool = False  # whether any becomes the ignored label


def mask_problems(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Problems of the masks of mmseg's datasets.

    Masks that are damaged, of another size than their image, in colours or fractions, or with
    labels outside the classes; datasets without masks where they are needed; datasets that hold
    nothing but 0 and 255, one class, or nothing that counts. Classes in no mask of the training
    data are a warning on stderr. At most 20,000 masks of a dataset are looked at; where it takes
    long, their labels are kept below ``~/.cache/mmca`` until mask or image change.
    """
    problems = []
    classes: set[int] = set()
    masks, names = 0, ()
    for loader, leaf, dataset in built_datasets(cfg, loaders, 'mmseg.BaseSegDataset'):
        entries = entries_of(dataset)
        pairs = [entry for entry in entries if entry.get('seg_map_path')]
        if not pairs:
            if entries and loader != 'test_dataloader':
                problems.append(
                    f'{loader}: no masks: say where they are, data_prefix=dict(seg_map_path=DIR)'
                )
            continue
        if loader_in(leaf, 'LoadAnnotations', 'LoadSegAnnotations') is None:
            continue
        num_classes, ignore_index = _classes_of(cfg, dataset)
        seen = _look_at(loader, pairs, num_classes, ignore_index)
        problems += grouped(seen.problems)
        if not seen.problems and seen.masks:
            problems += _nothing_to_learn(loader, dataset, seen, ignore_index)
            problems += _counted_in_vain(cfg, loader, seen, num_classes, ignore_index)
        if loader == 'train_dataloader':
            classes |= seen.classes
            masks += seen.masks
            names = dataset.metainfo.get('classes') or range(num_classes)
    if masks and not problems:
        problems += _one_class(names, classes)
        _warn_of_absent(names, classes, masks)
    return problems


def _classes_of(cfg: Config, dataset: BaseDataset) -> tuple[int, int]:
    """The number of classes, and the label that does not count."""
    head = (cfg.get('model') or {}).get('decode_head') or {}
    head = head[-1] if isinstance(head, (list, tuple)) else head
    num_classes = head.get('num_classes') or len(dataset.metainfo.get('classes') or ())
    return num_classes or _OBJECT, head.get('ignore_index', 255)


def _look_at(loader: str, pairs: list[dict], num_classes: int, ignore_index: int) -> _Seen:
    chosen = [
        pair
        for pair in spread(pairs, _LOOKED_AT)
        if os.path.isfile(pair['img_path']) and os.path.isfile(pair['seg_map_path'])
    ]
    if len(pairs) > _LOOKED_AT:
        print(f'Checking {len(chosen)} of {len(pairs)} masks of {loader}', file=sys.stderr)
    seen = _Seen([], set(), set(), len(chosen))
    for pair, found in zip(chosen, _labels_of_all(loader, chosen), strict=True):
        path = pair['seg_map_path']
        if isinstance(found, str):
            seen.problems.append((path, found))
            continue
        table = label_table(pair.get('reduce_zero_label', False), pair.get('label_map'))
        if problem := label_problem(found, table, num_classes, ignore_index):
            seen.problems.append((path, problem))
            continue
        seen.labels.update(found.tolist())
        seen.classes.update(table[found[found <= _OBJECT]].tolist())
    seen.ignored = ignore_index in seen.classes
    seen.classes.discard(ignore_index)
    return seen


def _labels_of_all(loader: str, pairs: list[dict]) -> list[np.ndarray | str]:
    """As :func:`_labels_of` each; labels of whole pairs are kept where reading takes long."""
    if not pairs:
        return []
    kept = Kept('masks', os.path.dirname(pairs[0]['seg_map_path']))
    known, now, found = kept.load(), {}, []

    def look(pair: dict) -> tuple[list, np.ndarray | str]:
        stamps = [pair['img_path'], stamp(pair['img_path']), stamp(pair['seg_map_path'])]
        entry = known.get(pair['seg_map_path'])
        if isinstance(entry, list) and entry[:-1] == stamps:
            return stamps, np.array(entry[-1], np.int64)
        return stamps, _labels_of(pair)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        looked = track(pool.map(look, pairs), f'checking masks of {loader}', len(pairs), silent=2)
        for pair, (stamps, labels) in zip(pairs, looked, strict=True):
            found.append(labels)
            if not isinstance(labels, str):
                now[pair['seg_map_path']] = [*stamps, labels.tolist()]
    if now != known:
        kept.save(known | now)
    return found


def _labels_of(pair: dict) -> np.ndarray | str:
    """The different labels of a mask, or what is wrong with it."""
    path = pair['seg_map_path']
    try:
        with open_image(path) as image:
            if image.format == 'JPEG':
                return 'a JPEG, whose compression changes labels; save masks as PNG'
            labels = to_labels(image, path)
    except BadImageError as error:
        return str(error).removeprefix(f'{path}: ')
    try:
        with open_image(pair['img_path']) as image:
            size = displayed_size(image)
    except BadImageError:  # for another check to tell
        return present_labels(labels)
    if labels.shape != size[::-1]:
        problem = size_problem(path, labels.shape, pair['img_path'], size[::-1])
        return problem.removeprefix(f'{path}: ')
    return present_labels(labels)


def _nothing_to_learn(
    loader: str, dataset: BaseDataset, seen: _Seen, ignore_index: int
) -> list[str]:
    folder = dataset.data_prefix['seg_map_path']
    if not seen.classes:
        return [
            f'{loader}: {folder}: every pixel of the {seen.masks} masks is ignored (they hold '
            f'{sorted(seen.labels)}, ignore_index={ignore_index}, reduce_zero_label='
            f'{dataset.reduce_zero_label}): nothing is learnt or measured; correct the masks or '
            'these settings'
        ]
    if seen.labels == {0, _OBJECT} and ignore_index == _OBJECT:
        return [
            f'{loader}: {folder}: the {seen.masks} masks hold 0 and 255 alone, and 255 means '
            f'"ignored" (ignore_index={ignore_index}): all that counts is class 0. If 255 marks '
            'the object, save it as 1, the number of its class'
        ]
    return []


def _counted_in_vain(
    cfg: Config, loader: str, seen: _Seen, num_classes: int, ignore_index: int
) -> Iterator[str]:
    """A line if pixels that the head ignores, and no class has, would count as mistakes."""
    if ignore_index < max(num_classes, 2) or not seen.ignored:
        return
    for metric in config_metrics(cfg, [_EVALUATORS.get(loader, '')]):
        given = metric.get('ignore_index', 255)
        if type_name(metric) == 'IoUMetric' and given != ignore_index:
            yield (
                f'{_EVALUATORS[loader]}: IoUMetric has ignore_index={given}, the head '
                f'{ignore_index}, and masks hold it: as no class has that number, each such pixel '
                f'would count as a mistake. Set {_EVALUATORS[loader]}.ignore_index={ignore_index}'
            )


def _one_class(names: Sequence, classes: set[int]) -> list[str]:
    if len(names) > 1 and len(classes) == 1:
        (only,) = classes
        return [
            f'train_dataloader: class {only} ({names[only]}) is the only one in all masks: '
            'nothing is to be learnt; correct the masks'
        ]
    return []


def _warn_of_absent(names: Sequence, classes: set[int], masks: int) -> None:
    absent = [f'{index} ({name})' for index, name in enumerate(names) if index not in classes]
    if absent:
        print(
            f'Warning: none of the {masks} training masks looked at holds the classes '
            f'{", ".join(absent)}: they will not be learnt',
            file=sys.stderr,
        )
