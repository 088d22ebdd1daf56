import pytest
import torch

from mmca.models import CBAM, CoordinateAttention, SqueezeExcitation

ALL = [CoordinateAttention, SqueezeExcitation, CBAM]


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


@pytest.mark.parametrize('cls', ALL)
@pytest.mark.parametrize('size', [(1, 1), (1, 9), (7, 1), (5, 11)])
def test_any_size_and_memory_format(cls, size):
    torch.manual_seed(0)
    block = cls(32).double().eval()
    x = torch.randn(2, 32, *size, dtype=torch.float64)
    out = block(x)
    assert out.shape == x.shape
    last = block(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, out)


@pytest.mark.parametrize('cls', ALL)
def test_channels_last_stays_channels_last(cls):
    x = torch.randn(2, 32, 6, 5).to(memory_format=torch.channels_last)
    assert cls(32).eval()(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('cls', ALL)
def test_gradients_in_float64(cls):
    torch.manual_seed(0)
    block = cls(8).double().train()
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, x)


@pytest.mark.parametrize('cls', ALL)
def test_autocast_bfloat16(cls):
    torch.manual_seed(0)
    block = cls(32).eval()
    x = torch.randn(2, 32, 6, 7)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = block(x)
    assert (out.float() - block(x)).abs().max() < 0.05
    block.train()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        block(x).float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in block.parameters())


@pytest.mark.parametrize('cls', ALL)
def test_trace_serves_other_sizes(cls):
    block = cls(32).eval()
    traced = torch.jit.trace(block, torch.randn(1, 32, 8, 6))
    x = torch.randn(2, 32, 5, 1)
    torch.testing.assert_close(traced(x), block(x))


@pytest.mark.slow
@pytest.mark.parametrize('cls', ALL)
def test_compile_without_graph_breaks(cls):
    block = cls(32).eval()
    x = torch.randn(2, 32, 6, 7)
    compiled = torch.compile(block, fullgraph=True)
    torch.testing.assert_close(compiled(x), block(x), rtol=1e-4, atol=1e-5)
