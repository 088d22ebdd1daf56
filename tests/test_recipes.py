"""The real-data configs, unmodified but for data root and length, train and validate."""

from pathlib import Path

import numpy as np
import pytest
from conftest import run_tool
from PIL import Image

CONFIGS = Path(__file__).parents[1] / 'configs'
SHORT = (
    'train_cfg.max_iters=1',
    'train_cfg.val_interval=1',
    'param_scheduler.0.end=1',
    'train_dataloader.batch_size=2',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
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


def cityscapes(root: Path) -> Path:
    for split in ('train', 'val'):
        for name in ('a', 'b'):
            image = root / 'leftImg8bit' / split / 'town' / f'{name}_leftImg8bit.png'
            mask = root / 'gtFine' / split / 'town' / f'{name}_gtFine_labelTrainIds.png'
            write_pair(image, mask, 19, 255)
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    'config', ['deeplabv3_mbv2ca_voc', 'deeplabv3_mbv2ca_camvid', 'deeplabv3_mbv2_cityscapes_s8']
)
def test_recipe_trains(config, sample_voc, tmp_path):
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
    )
    assert outcome.code == 0, outcome.output
    assert (tmp_path / 'run/iter_1.pth').is_file()
    assert 'mIoU' in outcome.output
