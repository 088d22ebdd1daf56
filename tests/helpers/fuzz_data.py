"""Tiny valid datasets of every kind, each with a config that trains a step and validates."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mmengine.config import Config
from PIL import Image

from helpers.tools import ROOT
from mmca.config_walk import LOADERS, config_datasets, leaf_transforms

SIZE = (48, 40)
CLASSES = ('cat', 'dog', 'cow')
# One batch holds all training images: each damage is met.
NAMES = {'train': ('a', 'b'), 'val': ('c', 'd')}
SPLITS = tuple(NAMES)
BOXES = ((4, 6, 30, 20), (10, 8, 25, 30))


def write_image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(path)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_coco(root: Path) -> Config:
    for split in SPLITS:
        content = dict(images=[], annotations=[], categories=[])
        content['categories'] = [dict(id=7 - i, name=name) for i, name in enumerate(CLASSES)]
        for number, name in enumerate(NAMES[split], 1):
            write_image(root / split / f'{name}.jpg', number)
            content['images'].append(
                dict(id=number, file_name=f'{name}.jpg', width=SIZE[0], height=SIZE[1])
            )
            for box in BOXES:
                identity = len(content['annotations']) + 1
                content['annotations'].append(
                    dict(
                        id=identity,
                        image_id=number,
                        category_id=7 - identity % 3,
                        bbox=list(box),
                        area=box[2] * box[3],
                        iscrowd=0,
                    )
                )
        write_text(root / f'{split}.json', json.dumps(content, indent=1))
    cfg = _detector('configs/ssdlite320_mbv2ca_sample.py')
    for split in SPLITS:
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.update(data_root=str(root), ann_file=f'{split}.json', data_prefix=dict(img=split))
        dataset.metainfo = dict(classes=CLASSES)
    cfg.val_evaluator.ann_file = str(root / 'val.json')
    return cfg


def write_voc(root: Path) -> Config:
    for split in SPLITS:
        for seed, name in enumerate(NAMES[split]):
            write_image(root / f'VOC2007/JPEGImages/{name}.jpg', seed)
            write_text(root / f'VOC2007/Annotations/{name}.xml', _xml(name))
        names = '\n'.join(NAMES[split]) + '\n'
        write_text(root / f'VOC2007/ImageSets/Main/{split}.txt', names)
    cfg = _detector('configs/ssdlite320_mbv2ca_voc.py')
    cfg.train_dataloader.dataset = cfg.train_dataloader.dataset.datasets[0]
    for split in SPLITS:
        cfg[f'{split}_dataloader'].dataset.update(
            data_root=str(root),
            ann_file=f'VOC2007/ImageSets/Main/{split}.txt',
            metainfo=dict(classes=CLASSES),
        )
    return cfg


def _xml(name: str) -> str:
    objects = ''.join(
        f'<object><name>{CLASSES[i]}</name><difficult>0</difficult><bndbox><xmin>{x}</xmin>'
        f'<ymin>{y}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>'
        for i, (x, y, w, h) in enumerate(BOXES)
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<annotation><filename>{name}.jpg</filename><size><width>{SIZE[0]}</width>'
        f'<height>{SIZE[1]}</height><depth>3</depth></size>{objects}</annotation>\n'
    )


def _detector(base: str) -> Config:
    cfg = Config.fromfile(ROOT / base)
    cfg.model.backbone.widen_factor = 0.25
    # A quarter of the width leaves 24 channels of 96.
    cfg.model.bbox_head.in_channels = [24, 1280, 512, 256, 256, 64]
    cfg.model.bbox_head.num_classes = len(CLASSES)
    for _, dataset in config_datasets(cfg, LOADERS):
        for transform in leaf_transforms(dataset.pipeline):
            if transform['type'] == 'Resize':
                transform.scale = (96, 96)
    return cfg


def write_segmentation(root: Path) -> Config:
    for split in SPLITS:
        for seed, name in enumerate(NAMES[split]):
            write_image(root / f'images/{name}.jpg', seed)
            mask = np.random.default_rng(seed).integers(0, 3, SIZE[::-1], np.uint8)
            mask[0] = 255
            (root / 'masks').mkdir(exist_ok=True)
            Image.fromarray(mask).save(root / f'masks/{name}.png')
        write_text(root / f'{split}.txt', '\n'.join(NAMES[split]) + '\n')
    cfg = Config.fromfile(ROOT / 'configs/deeplabv3_mbv2ca_sample.py')
    cfg.model.backbone.widen_factor = 0.25
    cfg.model.decode_head.update(in_channels=80, channels=16, num_classes=len(CLASSES))
    cfg.train_dataloader.dataset = cfg.train_dataloader.dataset.datasets[0]
    for split in SPLITS:
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.update(
            type='BaseSegDataset',
            data_root=str(root),
            ann_file=f'{split}.txt',
            data_prefix=dict(img_path='images', seg_map_path='masks'),
            img_suffix='.jpg',
            seg_map_suffix='.png',
            metainfo=dict(classes=CLASSES),
        )
        for transform in leaf_transforms(dataset.pipeline):
            if 'num_classes' in transform:
                transform.num_classes = len(CLASSES)
            for key, value in (('scale', SIZE), ('crop_size', (64, 64)), ('size', (64, 64))):
                if key in transform:
                    transform[key] = value
    return cfg


def write_folders(root: Path) -> Config:
    return _write_classes(root, listed=False)


def write_listed(root: Path) -> Config:
    return _write_classes(root, listed=True)


def _write_classes(root: Path, listed: bool) -> Config:
    for split in SPLITS:
        lines = []
        for label, name in enumerate(NAMES[split]):
            file = f'{CLASSES[label]}/{name}.png'
            write_image(root / split / file, label)
            lines.append(f'{file} {label}\n')
        if listed:
            write_text(root / f'{split}.txt', ''.join(lines))
    cfg = Config.fromfile(ROOT / 'configs/mbv2ca_sample.py')
    cfg.model.backbone.widen_factor = 0.25
    cfg.model.head.update(num_classes=2, topk=(1,))
    if 'data_preprocessor' in cfg:
        cfg.data_preprocessor.num_classes = 2
    for split in SPLITS:
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.update(data_root=str(root), data_prefix=split)
        if listed:
            dataset.update(ann_file=f'{split}.txt', metainfo=dict(classes=CLASSES[:2]))
        dataset.pipeline.insert(-1, dict(type='Resize', scale=(32, 32)))
    cfg.val_evaluator = dict(type='Accuracy', topk=(1,))
    return cfg


WRITERS: dict[str, Callable[[Path], Config]] = {
    'COCO boxes': write_coco,
    'VOC boxes': write_voc,
    'masks': write_segmentation,
    'class folders': write_folders,
    'class lists': write_listed,
}


def write_dataset(kind: str, root: Path, config: Path) -> None:
    """Write valid data of a kind, and a config that trains one step on it and validates."""
    cfg = WRITERS[kind](root)
    for split in SPLITS:
        cfg[f'{split}_dataloader'].update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=1, val_interval=1)
    cfg.train_dataloader.sampler = dict(type='mmca.InfiniteSampler', shuffle=False)
    cfg.train_dataloader.pop('drop_last', None)
    cfg.param_scheduler = []
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.update(
        interval=-1, save_best=None, save_last=False, by_epoch=False
    )
    cfg.checks = dict(loops=False)  # it misses the checkpoints, which take longer than the rest
    cfg.log_processor = dict(by_epoch=False)
    cfg.pop('custom_hooks', None)
    for key in ('test_dataloader', 'test_evaluator', 'test_cfg', 'tta_model', 'tta_pipeline'):
        cfg.pop(key, None)
    cfg.dump(config)
