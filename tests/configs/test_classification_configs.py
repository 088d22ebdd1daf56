"""Each classification config builds its network and keeps to the paper's recipe."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, TRANSFORMS, init_default_scope
from PIL import Image

CONFIGS = Path(__file__).parents[2] / 'configs'
BACKBONES = ('mbv2', 'mbv2se', 'mbv2cbam', 'mbv2ca', 'mnext', 'mnextse', 'mnextca')
ABLATIONS = ('mbv2ca_x', 'mbv2ca_y', 'mbv2ca_r16', 'mbv2ca_r24', 'mbv2se_r12', 'mbv2cbam_r12')
PLACES = ('mnextse_last', 'mnextca_last')
FURTHER = ('eca', 'triplet', 'simam', 'ema', 'ela', 'scsa', 'strip', 'carelu', 'cbamhswish')
OTHERS = ('mbv1', 'mbv3', 'mnasneta1')
EFFICIENTNETS = ('effnetb0', 'effnetb0se', 'effnetb0cbam', 'effnetb0ca')
IMAGENET = [
    *(f'{name}_imagenet' for name in BACKBONES + ABLATIONS + PLACES + OTHERS),
    *(f'{name}_imagenet_{width}' for name in BACKBONES for width in ('w075', 'w050')),
]
CIFAR10 = [f'{name}_cifar10' for name in BACKBONES if name != 'mnextse']
MEASURED = [  # this project's tables on CIFAR-10
    f'{name}_{table}'
    for table in ('cifar10_from_imagenet', 'cifar10_w050_30e')
    for name in ('mbv2', 'mbv2se', 'mbv2cbam', 'mbv2ca')
]
MEASURED += [f'mbv2{name}_cifar10_w050_30e' for name in FURTHER]
SAMPLE = [f'{name}_sample' for name in BACKBONES + EFFICIENTNETS + OTHERS]
SAMPLE += [f'mbv2{name}_sample_w050' for name in ('', 'se', 'cbam', 'ca', *FURTHER)]
ORIGINAL_RECIPE = [f'{name}_imagenet' for name in EFFICIENTNETS]
CLASSES = {'cifar10': 10, 'imagenet': 1000, 'sample': 20}


def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / f'{name}.py')


def test_there_are_no_other_configs():
    found = {path.stem for path in CONFIGS.glob('[me]*.py')}
    assert found == {*IMAGENET, *ORIGINAL_RECIPE, *CIFAR10, *MEASURED, *SAMPLE}


@pytest.mark.parametrize('name', [*IMAGENET, *ORIGINAL_RECIPE, *CIFAR10, *MEASURED, *SAMPLE])
def test_config_builds_its_network(name):
    cfg = load(name)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).eval()
    classes = next(n for data, n in CLASSES.items() if data in name)
    with torch.no_grad():
        assert model(torch.randn(1, 3, 64, 64)).shape == (1, classes)


@pytest.mark.parametrize('name', IMAGENET)
def test_imagenet_recipe(name):
    """CA paper, Sec. 4.1 and the authors' README: crop and flip, nothing else."""
    cfg = load(name)
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=4e-5)
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[0].T_max == 200
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 256
    assert not {'label_smooth_val', 'train_cfg'} & {*cfg.model, *cfg.model.head.loss}
    _, crop, packing = cfg.train_dataloader.dataset.pipeline
    assert crop == dict(type='mmca.LoadRandomResizedCrop', scale=224, flip_prob=0.5)
    assert packing.type == 'PackInputs'
    assert not any(hook.type == 'EMAHook' for hook in cfg.get('custom_hooks', []))


# Channels of the 16 maps with an attention.
HIDDEN = [96, *2 * [144], *3 * [192], *4 * [384], *3 * [576], *3 * [960]]


@pytest.mark.parametrize(
    ('name', 'parameters', 'by_hand'),
    [
        ('mbv2ca_x', 3_890_744, lambda c: 2 * c * ca_mid(c, 24) + 3 * ca_mid(c, 24) + c),
        ('mbv2ca_y', 3_890_744, lambda c: 2 * c * ca_mid(c, 24) + 3 * ca_mid(c, 24) + c),
        ('mbv2ca', 3_950_648, lambda c: 3 * (c + 1) * ca_mid(c, 32) + 2 * c),
        ('mbv2ca_r24', 4_086_776, lambda c: 3 * (c + 1) * ca_mid(c, 24) + 2 * c),
        ('mbv2ca_r16', 4_366_850, lambda c: 3 * (c + 1) * ca_mid(c, 16) + 2 * c),
        ('mbv2se', 3_888_208, lambda c: (2 * c + 1) * (c // 24) + c),
        ('mbv2se_r12', 4_264_440, lambda c: (2 * c + 1) * (c // 12) + c),
        # A 7x7 convolution of two planes, and the weight and bias of its norm.
        ('mbv2cbam', 3_889_808, lambda c: (2 * c + 1) * (c // 24) + c + 2 * 49 + 2),
        ('mbv2cbam_r12', 4_266_040, lambda c: (2 * c + 1) * (c // 12) + c + 2 * 49 + 2),
    ],
)
def test_parameters_of_the_ablation(name, parameters, by_hand):
    """Plain MobileNetV2's, and those of each attention by the papers' equations."""
    cfg = load(f'{name}_imagenet')
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert 3_504_872 + sum(map(by_hand, HIDDEN)) == parameters


def ca_mid(channels: int, reduction: int) -> int:
    """Channels between coordinate attention's convolutions."""
    return max(8, channels // reduction)


def test_recipe_of_efficientnet():
    """Tan and Le (ICML 2019), Sec. 5.2, for a batch of 256."""
    cfg = load('effnetb0ca_imagenet')
    optimizer = cfg.optim_wrapper.optimizer
    assert optimizer.type == 'RMSprop' and optimizer.alpha == optimizer.momentum == 0.9
    assert (optimizer.lr, optimizer.weight_decay) == (0.256 * 256 / 4096, 1e-5)
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 256
    assert cfg.param_scheduler[1].gamma ** 2.4 == pytest.approx(0.97)
    assert cfg.model.backbone.norm_cfg.momentum == pytest.approx(1 - 0.99)
    assert cfg.model.backbone.drop_path_rate == cfg.model.head.dropout == 0.2


@pytest.mark.parametrize('name', ['mbv2_imagenet', 'mbv2_cifar10', 'mbv2_sample'])
def test_pipelines_give_the_size_of_the_tables(name, tmp_path):
    path = tmp_path / 'image.png'
    side = 32 if 'cifar10' in name else 64
    Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(path)
    cfg = load(name)
    init_default_scope(cfg.default_scope)
    for loader in ('train_dataloader', 'val_dataloader'):
        results = dict(img_path=str(path), gt_label=1, sample_idx=0)
        for transform in cfg[loader].dataset.pipeline:
            results = TRANSFORMS.build(transform)(results)
        expected = 224 if 'imagenet' in name else 64
        assert results['inputs'].shape == (3, expected, expected)
