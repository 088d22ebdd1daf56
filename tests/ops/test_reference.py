"""The reference of the attention: against a loop, against its authors' code, and exported."""

import io

import numpy as np
import pytest
import torch
from torch import nn

from helpers.attention_block import FORMATS, make_attention
from helpers.golden import DATA, draw, draw_tensor
from mmca.ops.attention import CoordinateAttentionLayer
from mmca.ops.implementation import use_implementation
from mmca.ops.reference import coordinate_attention


def by_hand(x, layer):
    """Equations 4 to 9 of the paper for one image (C, H, W), position by position."""
    (channels, height, width), out = x.shape, torch.empty_like(x)

    def f(z):
        return layer.act(layer.bn1(layer.conv1(z[None, :, None, None])))

    def gate_h(i):
        z = torch.stack([x[c, i].sum() / width for c in range(channels)])
        return layer.conv_h(f(z)).sigmoid().flatten()

    def gate_w(j):
        z = torch.stack([x[c, :, j].sum() / height for c in range(channels)])
        return layer.conv_w(f(z)).sigmoid().flatten()

    for i in range(height):
        for j in range(width):
            out[:, i, j] = x[:, i, j] * gate_h(i) * gate_w(j)
    return out


@pytest.mark.parametrize('size', [(1, 1), (1, 9), (7, 1), (4, 6)])
@torch.no_grad()
def test_equals_a_loop(size):
    torch.manual_seed(0)
    layer = make_attention(5).eval().double()
    x = torch.randn(2, 5, *size, dtype=torch.float64)
    expected = torch.stack([by_hand(image, layer) for image in x])
    for memory_format in FORMATS:
        given = x.contiguous(memory_format=memory_format)
        found = coordinate_attention(given, layer.squeeze, layer.expand_h, layer.expand_w)
        torch.testing.assert_close(found, expected)
        assert found.is_contiguous(memory_format=memory_format)


def assert_golden(value, golden, tolerance):
    golden = torch.from_numpy(golden).to(value.dtype)
    # Relative to the array's largest value; conv1.bias has no gradient (batch norm removes it).
    scale = max(golden.abs().max().item(), 0.1)
    assert (value.detach() - golden).abs().max().item() <= tolerance * scale


@pytest.mark.parametrize(
    'implementation, dtype, tolerance',
    [
        ('plain', torch.float64, 1e-6),
        ('plain', torch.float32, 1e-4),
        ('cpp', torch.float32, 1e-4),
    ],
)
def test_equals_the_authors(implementation, dtype, tolerance, compiled_kernels):
    golden = np.load(DATA / 'coordatt_block.npz')
    weights, rng, shape = draw('coordatt_block')
    x = draw_tensor(rng, shape, dtype).requires_grad_()
    gradient = draw_tensor(rng, shape, dtype)
    layer = CoordinateAttentionLayer(40, 8, nn.BatchNorm2d(8), nn.Hardswish(), nn.Sigmoid())
    layer.load_state_dict(weights)  # strict: the names are the authors'
    layer.to(dtype)

    with use_implementation(implementation):
        assert_golden(layer.eval()(x), golden['eval_out'], tolerance)
        out = layer.train()(x)
    out.backward(gradient)
    assert_golden(out, golden['train_out'], tolerance)
    assert_golden(x.grad, golden['grad_x'], tolerance)
    for name, parameter in layer.named_parameters():
        assert_golden(parameter.grad, golden[f'grad.{name}'], tolerance)
    for name in ('running_mean', 'running_var'):
        assert_golden(getattr(layer.bn1, name), golden[f'after.bn1.{name}'], tolerance)


@torch.no_grad()
def test_one_axis_is_one_factor_of_both():
    """With the same shared features the two gates multiply; each alone is one of them."""
    torch.manual_seed(0)
    both = make_attention(16).eval()
    x = torch.rand(1, 16, 6, 9)
    gates = {}
    for axis in 'hw':
        single = make_attention(16, axes=axis).eval()
        single.load_state_dict({k: both.state_dict()[k] for k in single.state_dict()})
        gates[axis] = single(x) / x
    torch.testing.assert_close(both(x), x * gates['h'] * gates['w'])
    # The gate of one axis is constant along the other.
    assert gates['h'].std(dim=3).max() < 1e-6 < gates['h'].std(dim=2).max()
    assert gates['w'].std(dim=2).max() < 1e-6 < gates['w'].std(dim=3).max()


SIZES = [(2, 3, 5), (1, 9, 4), (3, 16, 16)]


def make_example():
    torch.manual_seed(0)
    return make_attention(16).eval(), torch.randn(2, 16, 8, 6)


@torch.no_grad()
def test_exports_with_free_sizes():
    export = pytest.importorskip('torch.export')
    if not hasattr(export, 'Dim'):
        pytest.skip(f'torch {torch.__version__} has no torch.export.Dim')
    layer, x = make_example()
    free = {0: export.Dim('n'), 2: export.Dim('h', min=2), 3: export.Dim('w', min=2)}
    exported = export.export(layer, (x,), dynamic_shapes=(free,)).module()
    for n, *size in SIZES:
        x = torch.randn(n, 16, *size)
        torch.testing.assert_close(exported(x), layer.reference(x))


@torch.no_grad()
def test_exports_to_onnx_with_free_sizes():
    onnx = pytest.importorskip('onnx')
    evaluator = pytest.importorskip('onnx.reference')
    layer, x = make_example()
    file, axes = io.BytesIO(), {0: 'n', 2: 'h', 3: 'w'}
    names = dict(input_names=['x'], output_names=['y'], dynamic_axes=dict(x=axes, y=axes))
    # torch 2.1 has this exporter only, without the option.
    other = {} if torch.__version__.startswith('2.1.') else dict(dynamo=False)
    torch.onnx.export(layer, (x,), file, **names, **other)
    exported = onnx.load_from_string(file.getvalue())
    onnx.checker.check_model(exported)
    assert {node.domain for node in exported.graph.node} == {''}
    session = evaluator.ReferenceEvaluator(exported)
    for n, *size in SIZES:
        x = torch.randn(n, 16, *size)
        [found] = session.run(None, {'x': x.numpy()})
        torch.testing.assert_close(torch.tensor(found), layer.reference(x), rtol=1e-4, atol=1e-5)
