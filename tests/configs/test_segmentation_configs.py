"""Each segmentation config builds the model that its row of the published tables needs."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS, TRANSFORMS

CONFIGS = sorted(Path(__file__).parents[2].joinpath('configs').glob('deeplabv3_*.py'))
# Millions of parameters in the published tables (DeepLabV3, 21 classes).
PUBLISHED = {'mbv2': 4.5, 'mbv2se': 4.9, 'mbv2cbam': 4.9, 'mbv2ca': 5.0}
# Of this project's own combinations, computed.
OWN = {'effnetb0': 5.7, 'effnetb0se': 6.3, 'effnetb0cbam': 6.3, 'effnetb0ca': 6.4}


def build(path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    return cfg, MODELS.build(cfg.model)


def test_every_promised_config_is_there():
    names = {path.stem for path in CONFIGS}
    for backbone in PUBLISHED:
        for suffix in (
            'voc',
            'voc_s8',
            'cityscapes',
            'cityscapes_s8',
            'camvid',
            'sample',
            'sample_s8',
        ):
            assert f'deeplabv3_{backbone}_{suffix}' in names


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config_builds_its_model(path):
    cfg, model = build(path)
    _, backbone, data, *_ = path.stem.split('_')
    stride_8 = path.stem.endswith('_s8')
    classes = {'voc': 21, 'sample': 21, 'cityscapes': 19, 'camvid': 11}[data]
    assert model.decode_head.num_classes == classes
    assert cfg.val_evaluator.get('ignore_index', 255) == model.decode_head.ignore_index

    millions = sum(p.numel() for p in model.parameters()) / 1e6
    assert round(millions, 1) == (PUBLISHED | OWN)[backbone]

    side = 64 // (8 if stride_8 else 16)
    with torch.no_grad():
        logits = model.eval()(torch.randn(1, 3, 64, 64), mode='tensor')
    assert logits.shape == (1, classes, side, side)
    rates = [
        m[0].dilation[0] if isinstance(m, torch.nn.Sequential) else m.conv.dilation[0]
        for m in model.decode_head.aspp_modules
    ]
    assert rates == ([1, 12, 24, 36] if stride_8 else [1, 6, 12, 18])

    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset = cfg[loader].dataset
        for leaf in dataset.get('datasets', [dataset]):
            for transform in leaf.pipeline:
                TRANSFORMS.build(transform)


@pytest.mark.parametrize(
    ('config', 'parameters'),
    [
        ('mbv2_voc', 4_523_541),
        ('mbv2se_voc', 4_906_877),
        ('mbv2cbam_voc', 4_908_477),
        ('mbv2ca_voc', 4_969_317),
        ('mbv2_camvid', 4_520_971),
        ('mbv2se_camvid', 4_904_307),
        ('mbv2cbam_camvid', 4_905_907),
        ('mbv2ca_camvid', 4_966_747),
    ],
)
def test_parameters_to_the_last_one(config, parameters):
    """The computed parameters of the model zoo."""
    _, model = build(CONFIGS[0].with_name(f'deeplabv3_{config}.py'))
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_stride_8_takes_the_weights_of_stride_16():
    _, model = build(CONFIGS[0].with_name('deeplabv3_mbv2ca_voc.py'))
    _, finer = build(CONFIGS[0].with_name('deeplabv3_mbv2ca_voc_s8.py'))
    finer.load_state_dict(model.state_dict())


def test_head_fuses_by_1x1():
    _, model = build(CONFIGS[0].with_name('deeplabv3_mbv2_voc.py'))
    assert model.decode_head.bottleneck.conv.weight.shape == (256, 1280, 1, 1)
