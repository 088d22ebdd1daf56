"""The fast implementation in whole networks: memory, autograd's features, and what watches it."""

import copy
import inspect
import io
import os
import subprocess
import sys

import onnx
import pytest
import torch
from conftest import run_tool
from mmcv.cnn import ConvModule
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from mmca.models import CoordinateAttention, MobileNetV2, MobileNeXt
from mmca.ops.build import BuildError
from mmca.ops.implementation import kernels_for, use_implementation
from mmca.pictures import read_scalars

CA = dict(type='mmca.CoordinateAttention', reduction=32)


pytestmark = pytest.mark.usefixtures('compiled_kernels')


@pytest.fixture
def fast():
    with use_implementation('cpp'):
        assert kernels_for(torch.zeros(1, 1, 1, 1)) is not None
        yield


def saved_bytes(network, x):
    """Bytes that autograd keeps for backward, parameters aside, each storage once."""
    parameters = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        out = network(x)
    del out
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_memory_of_the_plain_network(fast, memory_format):
    """Less than without attention: a ReLU6 of PyTorch's keeps its input, the fused one does not.

    At 224 pixels: profiles weigh more in small maps.
    """
    x = torch.randn(1, 3, 224, 224).to(memory_format=memory_format)
    plain = saved_bytes(MobileNetV2().to(memory_format=memory_format), x)
    network = MobileNetV2(attention=CA).to(memory_format=memory_format)
    assert 0.9 < saved_bytes(network, x) / plain <= 0.95
    with use_implementation('plain'):
        assert saved_bytes(network, x) / plain > 1.15


@pytest.mark.parametrize('with_cp', [False, True])
@pytest.mark.parametrize(
    'backbone, options',
    [
        (MobileNetV2, {}),
        (MobileNeXt, dict(attention_position='first')),
        (MobileNeXt, dict(attention_position='last')),
    ],
)
def test_networks_learn_the_same(backbone, options, with_cp):
    torch.manual_seed(0)
    network = backbone(attention=CA, widen_factor=0.25, with_cp=with_cp, **options).double()
    x = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    target = torch.randn_like(network(x)[0])
    curves, states = [], []
    for implementation in ('plain', 'cpp'):
        learner, curve = copy.deepcopy(network), []
        optimiser = torch.optim.SGD(learner.parameters(), lr=0.05, momentum=0.9)
        with use_implementation(implementation):
            for _ in range(4):
                loss = (learner(x)[0] - target).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                curve.append(loss.item())
        curves.append(curve)
        states.append(learner.state_dict())
    assert abs(curves[0][-1] - curves[0][0]) > 1e-3 * curves[0][0]
    assert curves[1] == pytest.approx(curves[0], rel=1e-8)
    assert list(states[1]) == list(states[0])
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-6, atol=1e-8)


def test_training_on_sample_data_has_the_same_loss_curve(tiny_config, tmp_path, monkeypatch):
    curves = []
    for implementation in ('plain', 'cpp'):
        monkeypatch.setenv('MMCA_ATTENTION', implementation)
        work_dir = tmp_path / implementation
        options = '--work-dir', work_dir, '--cfg-options', 'default_hooks.logger.interval=1'
        outcome = run_tool('train', tiny_config, *options)
        assert outcome.code == 0, outcome.output
        curves.append([s['loss'] for s in read_scalars(work_dir) if 'loss' in s])
    plain, found = curves
    assert len(plain) == 12 and plain[-1] < 0.9 * plain[0]
    assert found == pytest.approx(plain, rel=1e-3)
    assert found != plain  # they are two implementations


class Projected(nn.Module):
    """An attention between two convolutions, as in the networks' blocks."""

    def __init__(self, activation='ReLU6'):
        super().__init__()
        act_cfg = activation and dict(type=activation)
        self.before = ConvModule(8, 12, 1, norm_cfg=dict(type='BN'), act_cfg=act_cfg)
        self.attention = CoordinateAttention(12)
        self.conv = ConvModule(12, 6, 1, norm_cfg=dict(type='BN'), act_cfg=None)
        with torch.no_grad():  # so that ReLU6 bends at both ends
            self.before.bn.weight.fill_(4)
            self.before.bn.running_mean.uniform_(-1, 1)
            self.before.bn.running_var.uniform_(0.1, 2)

    def forward(self, x):
        return self.attention.forward_between(self.before, x, self.conv)


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
    layers = ['before', 'before.conv', 'before.bn', 'before.activate', 'attention', 'conv.conv']
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


def test_tools_see_the_plain_expression(fast):
    block = CoordinateAttention(32).eval()
    x = torch.randn(1, 32, 8, 6)
    traced = torch.jit.trace(block, x)
    operations = {node.kind() for node in traced.inlined_graph.nodes()}
    assert 'aten::adaptive_avg_pool2d' in operations
    assert not [kind for kind in operations if kind.startswith('mmca')]
    torch.testing.assert_close(traced(x), block(x))
    torch.testing.assert_close(torch.jit.script(block)(x), block(x))
    with FlopCounterMode(display=False) as flops:
        block(x)
    assert flops.get_total_flops() == 2 * (14 + 8 + 6) * 32 * 8
    assert block.to('meta')(x.to('meta')).shape == x.shape
    block = CoordinateAttention(32).eval()
    out, derivative = torch.func.jvp(block, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(out, block(x))
    batched = torch.func.vmap(lambda x: block(x))(x.expand(3, 1, 32, 8, 6))
    torch.testing.assert_close(batched[2], block(x))


def test_onnx_export_is_the_plain_expression(fast):
    torch.manual_seed(0)
    network = MobileNeXt(attention=CA, widen_factor=0.25).eval()
    network(torch.randn(2, 3, 64, 64))
    x, file = torch.randn(2, 3, 64, 64), io.BytesIO()
    # torch 2.1 has this exporter only, without the option.
    options = (
        dict(dynamo=False) if 'dynamo' in inspect.signature(torch.onnx.export).parameters else {}
    )
    torch.onnx.export(network, (x,), file, **options)
    exported = onnx.load_from_string(file.getvalue())
    onnx.checker.check_model(exported)
    assert {node.domain for node in exported.graph.node} == {''}
    found = ReferenceEvaluator(exported).run(None, {exported.graph.input[0].name: x.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.tensor(found[0]), network(x)[0], rtol=1e-4, atol=1e-4)


FALLBACK = """
import torch
from mmca.models import CoordinateAttention
from mmca.ops.implementation import describe
block, x = CoordinateAttention(16), torch.randn(2, 16, 5, 4, requires_grad=True)
for _ in range(2):
    block(x).sum().backward()
assert torch.equal(block.eval()(x), block.plain_forward(x))
print(describe('cpu'))
"""


@pytest.mark.parametrize('broken', ['no compiler', 'no folder', 'compiler fails'])
def test_without_kernels_there_is_one_line_and_the_plain_expression(broken, tmp_path):
    environment = os.environ | {'TORCH_EXTENSIONS_DIR': str(tmp_path / 'cache'), 'CXX': 'c++'}
    environment.pop('MMCA_ATTENTION', None)
    if broken == 'no compiler':
        environment['PATH'] = str(tmp_path)
        reason = 'c++ is not installed'
    elif broken == 'no folder':
        (tmp_path / 'cache').touch()
        reason = 'Not a directory'
    else:
        environment['CXX'] = 'false'
        reason = ''
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', FALLBACK],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if 'without its' in line]
    assert len(lines) == 1, done.stdout + done.stderr
    assert reason in lines[0]
    assert "('plain', " in done.stdout


@pytest.mark.slow
def test_a_build_that_takes_too_long_leaves_no_lock(monkeypatch, tmp_path):
    from mmca.ops.build import build_in_time, library_path

    monkeypatch.setenv('TORCH_EXTENSIONS_DIR', str(tmp_path))
    slow = tmp_path / 'slow-c++'
    slow.write_text('#!/bin/sh\nsleep 600\n')
    slow.chmod(0o755)
    monkeypatch.setenv('CXX', str(slow))
    for _ in range(2):  # the second would wait for ever for a lock left behind
        with pytest.raises(BuildError, match='longer than 8 s'):
            build_in_time('native', timeout=8)
    assert not library_path('native').exists()
