"""EfficientNet-B0 with squeeze-excitation is torchvision's, timm's and mmpretrain's."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from helpers.golden import DATA, draw, draw_tensor
from mmca.checkpoint import CheckpointError, load_backbone, load_file
from mmca.convert.convert import convert_file
from mmca.models import EfficientNet

SE = dict(type='mmca.SqueezeExcitation', reduction=24, act_cfg=dict(type='SiLU'))
# What TensorFlow's layers do, and mmpretrain's.
TENSORFLOW = dict(norm_cfg=dict(type='BN', eps=1e-3), conv_cfg=dict(type='Conv2dAdaptivePadding'))


def with_statistics(model: torch.nn.Module) -> torch.nn.Module:
    """Give batch norm and squeeze-excitation something to do."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                torch.nn.init.normal_(module.bias)
    model.eval()  # mmpretrain's returns None
    return model


def converted(weights: dict, tmp_path: Path, said: str) -> dict:
    torch.save(weights, tmp_path / 'theirs.pth')
    lines = convert_file(str(tmp_path / 'theirs.pth'), tmp_path / 'ours.pth')
    assert any(said in line for line in lines), lines
    return load_file(tmp_path / 'ours.pth')['state_dict']


def logits(tmp_path: Path, x: torch.Tensor, **options: object) -> torch.Tensor:
    backbone = EfficientNet(SE, **options).eval()
    load_backbone(backbone, tmp_path / 'ours.pth')
    backbone.to(x)
    head = load_file(tmp_path / 'ours.pth')['state_dict']
    with torch.no_grad():
        features = backbone(x)[0].mean((2, 3))
        weight, bias = (head[f'head.fc.{name}'].to(x) for name in ('weight', 'bias'))
        return torch.nn.functional.linear(features, weight, bias)


def test_equals_torchvision_and_converts_back(tmp_path):
    theirs = with_statistics(torchvision.models.efficientnet_b0(num_classes=7))
    converted(theirs.state_dict(), tmp_path, "torchvision's efficientnet_b0: mmca.EfficientNet(")
    x = torch.randn(2, 3, 97, 130)
    with torch.no_grad():
        torch.testing.assert_close(logits(tmp_path, x), theirs(x), rtol=1e-4, atol=1e-5)

    convert_file(str(tmp_path / 'ours.pth'), tmp_path / 'back.pth', to='torchvision')
    back = load_file(tmp_path / 'back.pth')
    assert list(back) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        assert torch.equal(back[key], value), key


def test_equals_timm(tmp_path):
    """Of timm 1.0.31, run in float64."""
    weights, rng, shape = draw('timm_efficientnet_b0')
    converted(weights, tmp_path, "timm's efficientnet_b0: mmca.EfficientNet(")
    expected = torch.from_numpy(np.load(DATA / 'timm_efficientnet_b0.npz')['logits']).double()
    x = draw_tensor(rng, shape, torch.float64)
    torch.testing.assert_close(logits(tmp_path, x), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize('bare', [False, True])
def test_equals_mmpretrain(tmp_path, bare):
    from mmpretrain.models.backbones import EfficientNet as TheirEfficientNet

    theirs = with_statistics(TheirEfficientNet('b0'))
    state = theirs.state_dict()
    head = {'head.fc.weight': torch.randn(5, 1280), 'head.fc.bias': torch.zeros(5)}
    state = {f'backbone.{key}': value for key, value in state.items()} | head
    if bare:
        state = {key.removeprefix('backbone.'): value for key, value in state.items()}
    converted(state, tmp_path, "set in the backbone norm_cfg=dict(type='BN', eps=1e-3)")
    x = torch.randn(2, 3, 97, 130)
    with torch.no_grad():
        features = theirs(x)[0].mean((2, 3))
        expected = torch.nn.functional.linear(features, *head.values())
    ours = logits(tmp_path, x, **TENSORFLOW)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ('attention', 'said'),
    [
        (None, 'attention=None)'),
        (dict(type='mmca.CoordinateAttention', reduction=24), "'reduction': 24}"),
        (dict(type='mmca.CoordinateAttention', reduction=32), "'reduction': 32}"),
        (dict(type='mmca.CBAM', reduction=24), "'mmca.CBAM', 'reduction': 24"),
    ],
)
def test_our_own_are_recognised_and_have_no_other_names(tmp_path, attention, said):
    torch.save(EfficientNet(attention).state_dict(), tmp_path / 'bare.pth')
    arguments = str(tmp_path / 'bare.pth'), tmp_path / 'whole.pth'
    [title, *_] = convert_file(*arguments, drop=['head'])
    assert "mmca's EfficientNet, a bare backbone: mmca.EfficientNet(widen_factor=1.0" in title
    assert said in title
    for to, reason in ('torchvision', 'has squeeze-excitation'), ('authors', 'no EfficientNet'):
        with pytest.raises(CheckpointError, match=reason):
            convert_file(*arguments, drop=['head'], to=to, force=True)
