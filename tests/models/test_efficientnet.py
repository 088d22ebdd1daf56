"""EfficientNet-B0: parameters to the last one, the attention in every block, stochastic depth."""

import pytest
import torch

from mmca.models import EfficientNet
from mmca.models.backbones.mobilenet_v2 import InvertedResidual

SE = dict(type='mmca.SqueezeExcitation', reduction=24, act_cfg=dict(type='SiLU'))
CA = dict(type='mmca.CoordinateAttention', reduction=32)
CLASSIFIER = 1280 * 1000 + 1000


def blocks(model):
    return [module for module in model.modules() if isinstance(module, InvertedResidual)]


@pytest.mark.parametrize(
    ('attention', 'parameters'),
    [
        (None, 4_652_008),
        (SE, 5_288_548),  # torchvision's and timm's
        (dict(type='mmca.CBAM', reduction=24), 5_290_148),
        (CA, 5_381_804),
        (dict(CA, reduction=24), 5_614_772),
    ],
)
def test_parameters(attention, parameters):
    model = EfficientNet(attention)
    assert sum(p.numel() for p in model.parameters()) + CLASSIFIER == parameters


def test_squeezes_to_a_quarter_of_each_blocks_input():
    model = EfficientNet(SE)
    squeezed = [block.attention.conv_reduce.out_channels for block in blocks(model)]
    inputs = [32, 16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192]
    assert squeezed == [channels // 4 for channels in inputs]
    assert all(hasattr(block.attention, 'conv_h') for block in blocks(EfficientNet(CA)))


def test_channels_strides_and_one_training_step():
    model = EfficientNet(CA, out_indices=(1, 2, 4, 6), widen_factor=0.25)
    model.init_weights()
    outputs = model(torch.randn(2, 3, 64, 64))
    assert [out.shape[-1] for out in outputs] == [16, 8, 4, 2]
    sum(out.square().mean() for out in outputs).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    full = EfficientNet(out_indices=tuple(range(8)))
    shapes = [out.shape[1] for out in full.eval()(torch.randn(1, 3, 32, 32))]
    assert shapes == [16, 24, 40, 80, 112, 192, 320, 1280]


def test_stochastic_depth_grows_and_leaves_inference_alone():
    model = EfficientNet(SE, drop_path_rate=0.2, widen_factor=0.25)
    rates = [getattr(block.drop_path, 'drop_prob', 0.0) for block in blocks(model)]
    # Blocks without a shortcut cannot be skipped.
    assert rates == pytest.approx(
        [0.2 * i / 16 if blocks(model)[i].has_shortcut else 0.0 for i in range(16)]
    )
    assert max(rates) == 0.2 * 14 / 16
    plain = EfficientNet(SE, widen_factor=0.25)
    plain.load_state_dict(model.state_dict())
    x = torch.randn(8, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(x), plain.eval()(x))
        torch.manual_seed(0)
        assert not torch.allclose(model.train()(x)[0], plain.train()(x)[0])
    with pytest.raises(ValueError, match=r'drop_path_rate=1 must be in \[0, 1\)'):
        EfficientNet(drop_path_rate=1)
