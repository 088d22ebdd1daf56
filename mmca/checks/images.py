"""Whether images can be read as they are meant: from their headers alone."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dataset import BaseDataset

from mmca.config_walk import leaf_transforms

from .built import built_datasets, entries_of, grouped, is_local, loader_in, spread
from .folders import files_below
from .image_sizes import ImageSize, read_sizes, warn_of_flips
from .thin import thin_images

_LOOKED_AT = 200_000  # images of a dataset; the loader names bad ones among the others


def image_problems(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Files of mmseg's and mmpretrain's datasets that are no single image of a known range.

    Also images of different sizes that mmseg would have to put into one batch as they are, and
    those that a resize leaves nothing of. Of a large dataset 200,000 headers are read.
    """
    found: dict[str, str] = {}
    seen: dict[Path, ImageSize | str | None] = {}
    sizes: dict[str, dict[tuple[int, int], Path]] = {}
    datasets = [
        *built_datasets(cfg, loaders, 'mmseg.BaseSegDataset'),
        *built_datasets(cfg, loaders, 'mmpretrain.CustomDataset'),
    ]
    for name, leaf, dataset in datasets:
        loader = loader_in(leaf, 'LoadImageFromFile', 'LoadRandomResizedCrop')
        if loader is None:
            continue
        color_type = loader.get('color_type', 'color')
        exif = color_type in ('color', 'grayscale')
        thin = thin_images(leaf['pipeline'])
        images = _images(dataset)
        if len(images) > _LOOKED_AT:
            print(f'Checking {_LOOKED_AT} of {len(images)} images of {name}', file=sys.stderr)
        read = read_sizes(spread(images, _LOOKED_AT), color_type=color_type)
        for path, size in read.items():
            if isinstance(size, str):
                found[str(path)] = size.removeprefix(f'{path}: ')
                continue
            loaded = size.loaded(exif)
            if problem := thin(loaded):
                found[str(path)] = problem
            if _batched_as_they_are(cfg, name, leaf):
                sizes.setdefault(name, {}).setdefault(loaded, path)
        seen |= read if exif else {}
    warn_of_flips(seen)
    return grouped(list(found.items())) + [
        _size_problem(cfg, name, seen) for name, seen in sizes.items() if len(seen) > 1
    ]


def _batched_as_they_are(cfg: Config, loader: str, leaf: dict) -> bool:
    """Whether mmseg predicts several images at once, none of which its pipeline resizes."""
    transforms = leaf_transforms(leaf.get('pipeline') or [])
    return (
        loader != 'train_dataloader'
        and 'decode_head' in (cfg.get('model') or {})
        and cfg[loader].get('batch_size', 1) > 1
        and all('Load' in str(item['type']) or 'Pack' in str(item['type']) for item in transforms)
    )


def _size_problem(cfg: Config, loader: str, seen: dict[tuple[int, int], Path]) -> str:
    (first, path), (second, other) = list(seen.items())[:2]
    return (
        f'{loader}: {path} is of {first[0]}x{first[1]} pixels, {other} of {second[0]}x{second[1]}: '
        f'they do not fit into one batch of {cfg[loader].batch_size}; set {loader}.batch_size=1'
    )


def _images(dataset: BaseDataset) -> list[str]:
    """Images of a dataset; those that do not exist are for another check to tell."""
    if hasattr(dataset, 'is_valid_file') and not dataset.ann_file:  # mmpretrain's folders
        local = is_local(dataset.img_prefix)
        return list(filter(dataset.is_valid_file, files_below(dataset.img_prefix))) if local else []
    images = [entry['img_path'] for entry in entries_of(dataset)]
    return [image for image in images if os.path.isfile(image)]
