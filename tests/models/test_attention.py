import pytest
import torch

from mmca.models import CBAM, CoordinateAttention, SqueezeExcitation


@pytest.mark.parametrize(
    'cls, reduction, channels, middle',
    [
        (CoordinateAttention, 32, 96, 8),
        (CoordinateAttention, 32, 960, 30),
        (SqueezeExcitation, 24, 96, 4),
        (SqueezeExcitation, 24, 8, 1),
        (CBAM, 24, 960, 40),
    ],
)
def test_middle_channels(cls, reduction, channels, middle):
    block = cls(channels, reduction=reduction)
    conv = block.conv1 if cls is CoordinateAttention else block.conv_reduce
    assert conv.out_channels == middle


def test_squeeze_excitation_and_cbam_by_hand():
    torch.manual_seed(0)
    x = torch.randn(2, 48, 5, 7)
    se = SqueezeExcitation(48)
    w1, b1 = se.conv_reduce.weight[:, :, 0, 0], se.conv_reduce.bias
    w2, b2 = se.conv_expand.weight[:, :, 0, 0], se.conv_expand.bias
    gate = torch.sigmoid((x.mean((2, 3)) @ w1.T + b1).clamp(0, 6) @ w2.T + b2)
    torch.testing.assert_close(se(x), x * gate[:, :, None, None])

    cbam = CBAM(48).eval()
    cbam.bn_spatial.weight.data.fill_(1.5)
    cbam.bn_spatial.running_mean.fill_(0.3)
    cbam.bn_spatial.running_var.fill_(2.0)
    w1, b1 = cbam.conv_reduce.weight[:, :, 0, 0], cbam.conv_reduce.bias
    w2, b2 = cbam.conv_expand.weight[:, :, 0, 0], cbam.conv_expand.bias

    def mlp(v):
        return (v @ w1.T + b1).relu() @ w2.T + b2

    y = x * torch.sigmoid(mlp(x.mean((2, 3))) + mlp(x.amax((2, 3))))[:, :, None, None]
    planes = torch.stack([y.mean(1), y.amax(1)], dim=1)
    spatial = torch.nn.functional.conv2d(planes, cbam.conv_spatial.weight, padding=3)
    spatial = 1.5 * (spatial - 0.3) / (2.0 + 1e-5) ** 0.5
    torch.testing.assert_close(cbam(x), y * torch.sigmoid(spatial))


@pytest.mark.slow
def test_compiled():
    block = CoordinateAttention(32).eval()
    x = torch.randn(2, 32, 6, 7)
    compiled = torch.compile(block, fullgraph=True)
    torch.testing.assert_close(compiled(x), block(x), rtol=1e-4, atol=1e-5)
