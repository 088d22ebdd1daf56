"""Configs, unmodified but for data root and length, train and validate."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.tools import run_tool
from mmca.sampledata import SampleSettings, generate

CONFIGS = Path(__file__).parents[2] / 'configs'
# Of each backbone and dataset one: tests/configs/test_leaves.py compares the others with these.
CLASSIFICATION = [
    'mbv2ca_imagenet',
    'mnextca_imagenet_w050',
    'effnetb0ca_imagenet',
    'mbv2cbam_cifar10',
    'mnext_cifar10',
    'mbv2se_sample',
    'mnextse_sample',
]
SHORT = (
    'train_dataloader.batch_size=2',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
)
ONE_ITERATION = (
    'train_cfg.max_iters=1',
    'train_cfg.val_interval=1',
    'param_scheduler.0.end=1',
)
ONE_EPOCH = (
    'train_cfg.max_epochs=1',
    'train_dataloader.dataset.indices=2',
    'val_dataloader.dataset.indices=2',
)


def write_pair(image: Path, mask: Path, classes: int, void: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, (12, 16)).astype(np.uint8)
    labels[0] = void
    for path, pixels in (
        (image, rng.integers(0, 255, (96, 128, 3), np.uint8)),
        (mask, labels.repeat(8, 0).repeat(8, 1)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def camvid(root: Path) -> Path:
    for split in ('train', 'val', 'test'):
        for name in ('a.png', 'b.png'):
            write_pair(root / split / name, root / f'{split}annot' / name, 11, 11)
    return root


def image_folder(root: Path, classes: int) -> Path:
    """The sample in ImageNet's layout, with as many classes as a dataset has."""
    generate(SampleSettings(train=20, val=20, size=64), root / 'sample', 'imagenet')
    scenes = sorted((root / 'sample/train').rglob('*.jpg'))
    names = [f'n{i:08d}' for i in range(classes)]
    for split in ('train', 'val', 'test'):
        for i, name in enumerate(names):
            folder = root / split / name
            folder.mkdir(parents=True)
            os.link(scenes[i % len(scenes)], folder / 'scene.jpg')
    return root


def cityscapes(root: Path) -> Path:
    for split in ('train', 'val'):
        for name in ('a', 'b'):
            image = root / 'leftImg8bit' / split / 'town' / f'{name}_leftImg8bit.png'
            mask = root / 'gtFine' / split / 'town' / f'{name}_gtFine_labelTrainIds.png'
            write_pair(image, mask, 19, 255)
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    'config',
    [
        'deeplabv3_mbv2ca_voc',
        'deeplabv3_effnetb0ca_voc',
        'deeplabv3_mbv2ca_camvid',
        'deeplabv3_mbv2_cityscapes_s8',
    ],
)
def test_segmentation_recipe_trains(config, sample_voc, tmp_path):
    if config.endswith('voc'):
        data_root = sample_voc
    else:
        data_root = (camvid if 'camvid' in config else cityscapes)(tmp_path / 'data')
    outcome = run_tool(
        'train',
        CONFIGS / f'{config}.py',
        '--work-dir',
        tmp_path / 'run',
        '--data-root',
        data_root,
        '--cfg-options',
        *SHORT,
        *ONE_ITERATION,
    )
    assert outcome.code == 0, outcome.output
    assert (tmp_path / 'run/iter_1.pth').is_file()
    assert 'mIoU' in outcome.output


@pytest.fixture(scope='module')
def image_folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp('folders')
    sizes = {'imagenet': 1000, 'cifar10': 10, 'sample': 20}
    return {name: image_folder(root / name, classes) for name, classes in sizes.items()}


@pytest.mark.slow
@pytest.mark.parametrize('config', CLASSIFICATION)
def test_classification_recipe_trains(config, image_folders, tmp_path):
    data_root = next(root for name, root in image_folders.items() if name in config)
    outcome = run_tool(
        'train',
        CONFIGS / f'{config}.py',
        '--work-dir',
        tmp_path,
        '--data-root',
        data_root,
        '--cfg-options',
        *SHORT,
        *ONE_EPOCH,
    )
    assert outcome.code == 0, outcome.output
    assert (tmp_path / 'epoch_1.pth').is_file()
    assert 'accuracy/top1' in outcome.output
