"""A segmentation dataset of tiny images and masks, and its config, to be damaged."""

from pathlib import Path

import numpy as np
from mmengine.config import Config
from PIL import Image

CLASSES = ('background', 'cat', 'dog')
LABELS = np.random.default_rng(0).integers(0, 3, (12, 16), dtype=np.uint8)
LOADERS = ['train_dataloader', 'val_dataloader']


def config(root: Path, **changes) -> Config:
    """A segmentation config over ``root``/{train,val}/{images,masks}."""
    classes = changes.pop('classes', CLASSES)
    ignore_index = changes.pop('ignore_index', 255)

    def loader(split: str) -> dict:
        options = dict(
            type='BaseSegDataset',
            metainfo=dict(classes=classes),
            data_root=str(root),
            data_prefix=dict(img_path=f'{split}/images', seg_map_path=f'{split}/masks'),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')],
        )
        return dict(dataset={**options, **changes})

    return Config(
        dict(
            default_scope='mmseg',
            model=dict(decode_head=dict(num_classes=len(classes), ignore_index=ignore_index)),
            train_dataloader=loader('train'),
            val_dataloader=loader('val'),
            test_dataloader=loader('val'),
        )
    )


def write(root: Path, *masks: np.ndarray, split: str = 'train', suffix: str = '.png') -> list[Path]:
    """A pair of an image and a mask for each array; returns the paths of the masks."""
    paths = []
    for folder in ('images', 'masks'):
        (root / split / folder).mkdir(parents=True, exist_ok=True)
    for index, labels in enumerate(masks):
        Image.new('RGB', (16, 12)).save(root / split / 'images' / f'{index}.jpg')
        paths.append(root / split / 'masks' / f'{index}{suffix}')
        Image.fromarray(labels).save(paths[-1])
    return paths
