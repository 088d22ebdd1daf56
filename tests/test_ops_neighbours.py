"""What the fast attention takes over from the layers around it: the same numbers, and hooks."""

import copy

import pytest
import torch
from mmcv.cnn import ConvModule
from projected import Projected
from torch import nn

from mmca.models import CoordinateAttention, MobileNetV2, MobileNeXt
from mmca.ops.implementation import use_implementation

CA = dict(type='mmca.CoordinateAttention', reduction=32)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('activation', ['ReLU6', 'ReLU', None])
def test_gradients_through_the_projection(fast, training, activation, memory_format):
    torch.manual_seed(0)
    module = Projected(activation).double().train(training)
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64).to(memory_format=memory_format)
    assert torch.autograd.gradcheck(module, x.requires_grad_())
    gradient = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    found = torch.autograd.grad(module(x), [x, *module.parameters()], gradient)
    with use_implementation('plain'):
        expected = torch.autograd.grad(module(x), [x, *module.parameters()], gradient)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('shape', [(1, 8, 30, 5), (2, 8, 9, 21), (9, 8, 3, 70)])
def test_inference_with_batch_norm_and_relu6(fast, memory_format, shape):
    torch.manual_seed(0)
    x = torch.randn(shape).to(memory_format=memory_format)
    for channels in (12, 24, 100):
        module = Projected()
        module.before = ConvModule(8, channels, 3, padding=1, norm_cfg=dict(type='BN'))
        module.before.activate = nn.ReLU6(inplace=True)
        module.attention = CoordinateAttention(channels)
        module.conv = ConvModule(channels, 6, 1, norm_cfg=dict(type='BN'), act_cfg=None)
        for _ in range(3):  # running statistics
            module(x)
        with torch.no_grad():
            # The batch norm fixed, and the batch's statistics.
            for training in (False, True):
                module.before.train(training), module.attention.eval(), module.conv.eval()
                with use_implementation('plain'):
                    expected = module(x)
                torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    'norm', [nn.BatchNorm2d(6), nn.BatchNorm2d(6, affine=False), nn.GroupNorm(2, 6)]
)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_inference_with_norms_of_the_projection(fast, norm, dtype):
    torch.manual_seed(0)
    module = Projected()
    module.conv = ConvModule(12, 6, 1, bias=True, norm_cfg=dict(type='BN'), act_cfg=None)
    module.conv.bn = copy.deepcopy(norm)
    x = torch.randn(3, 8, 6, 7, dtype=dtype)
    module.to(dtype).train()(x)  # running statistics
    module.eval()
    with torch.no_grad():
        with use_implementation('plain'):
            expected = module(x)
        torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)
        # Nothing of the weights is kept from one call to the next.
        for parameter in module.conv.parameters():
            parameter.mul_(3)
        with use_implementation('plain'):
            changed = module(x)
        assert not torch.allclose(changed, expected)
        torch.testing.assert_close(module(x), changed, rtol=1e-4, atol=1e-5)


def test_inference_with_autocast(fast):
    torch.manual_seed(0)
    module = Projected()
    x = torch.randn(3, 8, 6, 7)
    module(x)  # running statistics
    module.eval()
    with torch.no_grad():
        exact = module(x)
        for given in (x, x.bfloat16()):
            with torch.autocast('cpu', dtype=torch.bfloat16):
                found = module(given)
                with use_implementation('plain'):
                    expected = module(given)
            assert found.dtype == expected.dtype
            assert (found - exact).abs().max() <= 0.05 * exact.abs().max()


def test_inference_where_only_the_projection_has_another_type(fast):
    torch.manual_seed(0)
    module = Projected()
    module.before = nn.Hardtanh()  # which autocast leaves as it is
    x = torch.randn(3, 12, 6, 7)
    module(x)  # running statistics
    module.eval()
    with torch.no_grad():
        exact = module(x)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            found = module(x)
    assert found.dtype is torch.bfloat16
    assert (found - exact).abs().max() <= 0.05 * exact.abs().max()


def test_projection_with_autocast(fast):
    torch.manual_seed(0)
    module = Projected()
    x = torch.randn(2, 8, 6, 7, requires_grad=True)
    exact = torch.autograd.grad(module(x).square().mean(), list(module.parameters()))
    for given in (x, x.bfloat16()):
        with torch.autocast('cpu', dtype=torch.bfloat16):
            out = module(given)
        found = torch.autograd.grad(out.float().square().mean(), list(module.parameters()))
        for (name, parameter), one, other in zip(module.named_parameters(), found, exact):
            assert one.dtype == parameter.dtype, name
            assert (one - other).abs().max() <= 0.05 * max(other.abs().max(), 0.1), name


@pytest.mark.parametrize('gradients', [True, False])
@pytest.mark.parametrize('training', [True, False])
def test_hooks_see_every_map(fast, training, gradients):
    torch.manual_seed(0)
    module = Projected().train(training)
    x, seen = torch.randn(2, 8, 6, 7), {}
    layers = ['before', 'before.conv', 'before.bn', 'before.activate', 'attention']
    layers += ['conv', 'conv.conv', 'conv.bn']
    with torch.set_grad_enabled(gradients):
        for name in layers:
            maps = []
            for implementation in ('plain', 'cpp'):
                hook = module.get_submodule(name).register_forward_hook(
                    lambda layer, args, out, maps=maps: maps.append((args[0].clone(), out.clone()))
                )
                with use_implementation(implementation):
                    module(x)
                hook.remove()
            seen[name] = maps
    for name, (plain, found) in seen.items():
        torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize('backbone', [MobileNetV2, MobileNeXt])
def test_inference_in_place_spoils_no_map_of_others(fast, backbone):
    """Without gradients the gated map takes the place of the depthwise convolution's output."""
    torch.manual_seed(0)
    model = backbone(CA, widen_factor=0.25).eval()
    x = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        with use_implementation('plain'):
            expected = model(x)[0]
        torch.testing.assert_close(model(x)[0], expected, rtol=1e-4, atol=1e-5)
        # A hook that keeps the output has it unchanged.
        kept = {}
        names = ('depthwise_conv', 'depthwise_conv1')
        blocks = [module for module in model.modules() if hasattr(module, 'attention')]
        layers = [
            getattr(block, name) for block in blocks for name in names if hasattr(block, name)
        ]
        for implementation in ('plain', 'cpp'):
            hook = layers[2].norm.register_forward_hook(
                lambda *call, name=implementation: kept.update({name: call[-1]})
            )
            with use_implementation(implementation):
                model(x)
            hook.remove()
    torch.testing.assert_close(kept['cpp'], kept['plain'], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('cls', [Projected, lambda: CoordinateAttention(8)])
def test_what_needs_no_gradient_gets_none(fast, cls):
    torch.manual_seed(0)
    module = cls()
    x = torch.randn(2, 8, 6, 7, requires_grad=True)
    every = torch.autograd.grad(module(x).square().sum(), [x, *module.parameters()])
    # Of the parameters alone.
    module(x.detach()).square().sum().backward()
    for parameter, gradient in zip(module.parameters(), every[1:]):
        torch.testing.assert_close(parameter.grad, gradient)
        parameter.grad = None
    # Of one parameter, though all want one.
    [(index, weight)] = [
        (index, parameter)
        for index, (name, parameter) in enumerate(module.named_parameters())
        if name.endswith('conv_h.weight')
    ]
    [found] = torch.autograd.grad(module(x).square().sum(), [weight])
    torch.testing.assert_close(found, every[1 + index])
    # Of the input alone.
    module.requires_grad_(False)
    module(x).square().sum().backward()
    torch.testing.assert_close(x.grad, every[0])
    assert all(p.grad is None for p in module.parameters())


@pytest.mark.parametrize('cls', [Projected, lambda: CoordinateAttention(8)])
def test_second_backward(fast, cls):
    module = cls()
    x = torch.randn(2, 8, 6, 7, requires_grad=True)
    loss = module(x).square().sum()
    [first] = torch.autograd.grad(loss, [x], retain_graph=True)
    [again] = torch.autograd.grad(loss, [x])
    assert torch.equal(first, again)
    [graph] = torch.autograd.grad(module(x).square().sum(), [x], create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        graph.sum().backward()
