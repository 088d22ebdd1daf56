"""Images and masks that mmseg's datasets will not find."""

import os
from collections.abc import Iterator, Sequence

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from PIL import Image

from mmca.config_walk import config_metrics, type_name

from .built import built_datasets, entries_of, is_local
from .folders import contents, files_below


def missing_segmentation_files(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Problems of mmseg's datasets: no images, images and masks that do not exist."""
    problems = []
    for loader, leaf, dataset in built_datasets(cfg, loaders, 'mmseg.BaseSegDataset', problems):
        folder = dataset.data_prefix.get('img_path') or ''
        if is_local(folder):
            evaluators = ['test_evaluator'] if loader == 'test_dataloader' else []
            metrics = list(config_metrics(cfg, evaluators))
            only_writes = bool(metrics) and all(metric.get('format_only') for metric in metrics)
            given = leaf.get('ann_file') or ''
            problems += _problems(loader, dataset, folder, not only_writes, given)
            problems += _overwritten(dataset, metrics)
    return problems


def _overwritten(dataset: BaseDataset, metrics: list[dict]) -> Iterator[str]:
    """A line for each metric of mmseg that would write one prediction over another."""
    for metric in metrics:
        written: dict[str, str] = {}
        for entry in entries_of(dataset) if metric.get('output_dir') else []:
            image = entry['img_path']
            name = os.path.splitext(os.path.basename(image))[0]
            if name in written:
                yield (
                    f'test_dataloader: {type_name(metric)} would write the predictions of '
                    f'{written[name]} and {image} to the same {metric["output_dir"]}/{name}.png; '
                    'test one folder at a time (data_prefix.img_path), each with an output_dir'
                )
                break
            written[name] = image


def _problems(
    loader: str, dataset: BaseDataset, folder: str, needs_masks: bool, given: str
) -> Iterator[str]:
    if given and os.path.isdir(dataset.ann_file):
        yield (
            f'{loader}: ann_file={given!r} is the folder {dataset.ann_file}: mmseg would take all '
            'images; name the list in it, or leave ann_file out'
        )
    listed = bool(dataset.ann_file) and os.path.isfile(dataset.ann_file)
    if not listed and not os.path.isdir(folder):
        yield f'{loader}: no images: {folder} does not exist; correct data_root or data_prefix'
        return
    try:
        entries = dataset.load_data_list()
    except Exception as error:  # the dataset's class may be anyone's
        yield f'{loader}: {dataset.ann_file or folder}: cannot be read: {error}'
        return
    if not entries and listed:
        yield f'{loader}: {dataset.ann_file} names no image'
    elif not entries:
        yield (
            f'{loader}: no image: no file below {folder} ends in {dataset.img_suffix!r}, the '
            f"dataset's img_suffix; {contents(folder)}"
        )
    if not listed and (odd := _other_case(folder, dataset.img_suffix)):
        yield (
            f'{loader}: {len(odd)} files such as {odd[0]} are left out: they end in '
            f'{dataset.img_suffix!r}, the img_suffix, but for upper and lower case; rename them'
        )
    images = [entry['img_path'] for entry in entries]
    where = f'named in {dataset.ann_file}' if listed else f'in {folder}'
    yield from _missing(
        f'{loader}: images {where}', images, folder, 'img_suffix', dataset.img_suffix
    )
    masks = [entry['seg_map_path'] for entry in entries if entry.get('seg_map_path')]
    if needs_masks and masks:
        yield from _missing(
            f'{loader}: masks of the images {where}',
            masks,
            dataset.data_prefix['seg_map_path'],
            'seg_map_suffix',
            dataset.seg_map_suffix,
        )


def _other_case(folder: str, suffix: str) -> list[str]:
    if not suffix:
        return []
    return sorted(
        path
        for path in files_below(folder)
        if path.lower().endswith(suffix.lower()) and not path.endswith(suffix)
    )


def _missing(what: str, paths: list[str], folder: str, option: str, suffix: str) -> Iterator[str]:
    """A line on the files that do not exist, if there are any."""
    gone = [(line, path) for line, path in enumerate(paths, 1) if not os.path.isfile(path)]
    if gone:
        line, path = gone[0]
        yield (
            f'{what}: {len(gone)} of {len(paths)} do not exist, first {path} (entry {line}); '
            f'{_remedy(path, option, suffix)}; {contents(folder)}'
        )


def _remedy(path: str, option: str, suffix: str) -> str:
    parent, name = os.path.split(path)
    stem = name.removesuffix(suffix)
    if not stem:
        return 'delete the blank line from the list'
    if '\ufeff' in path:
        return 'save the list without a byte order mark (UTF-8, not UTF-8 with BOM)'
    if os.path.isfile(os.path.join(parent, stem)):
        return f'take the suffix out of the names in the list: {option} adds {suffix!r}'
    if os.path.isdir(path):
        return 'it is a folder: restore the file'
    siblings = sorted(os.listdir(parent)) if os.path.isdir(parent) else []
    for sibling in siblings:
        other = sibling.startswith(stem) and not sibling[len(stem) : len(stem) + 1].isalnum()
        if other and os.path.splitext(sibling)[1].lower() in Image.registered_extensions():
            return f'there is {sibling}: set {option}={sibling[len(stem) :]!r} in the dataset'
    return 'restore it, or take it out of the dataset'
