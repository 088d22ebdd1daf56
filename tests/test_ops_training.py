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
from onnx.reference import ReferenceEvaluator
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from mmca.models import CoordinateAttention, MobileNetV2, MobileNeXt
from mmca.ops.build import BuildError
from mmca.ops.implementation import use_implementation
from mmca.pictures import read_scalars

CA = dict(type='mmca.CoordinateAttention', reduction=32)


pytestmark = pytest.mark.usefixtures('compiled_kernels')


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
