"""Layers that run as one (mmca/ops/fusion.py) compute the same; which of them may run so."""

import copy

import pytest
import torch
from torch import nn

from helpers.attention_block import FORMATS, make_attention
from helpers.fusion import FORMS, check, draw, make_block, run
from mmca.ops import implementation
from mmca.ops.cpp_kernels import CppKernels
from mmca.ops.fusion import Fusion, Stage
from mmca.ops.implementation import use_implementation

pytestmark = pytest.mark.usefixtures('fast')


@pytest.mark.parametrize('memory_format', FORMATS)
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('form', FORMS)
def test_gradients(form, training, memory_format):
    block = make_block(**form).train(training)
    x = draw(3, 8, 6, 7).to(memory_format=memory_format)
    assert check(block, x).is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize('memory_format', FORMATS)
@pytest.mark.parametrize('shape', [(1, 8, 30, 5), (2, 8, 9, 21), (9, 8, 3, 70), (1, 8, 1, 1)])
@torch.no_grad()
def test_inference(shape, memory_format):
    x = draw(*shape).to(memory_format=memory_format)
    for channels in (12, 24, 100):
        for form in FORMS:
            block = make_block(channels, **form).eval()
            given = x.clone()
            assert check(block, x).is_contiguous(memory_format=memory_format)
            assert torch.equal(x, given)
            if x[:, 0].numel() > 1:  # a norm that takes the batch's statistics
                block.before.norm.train()
                check(block, x, fused=False)


@pytest.mark.slow
@torch.no_grad()
def test_inference_with_the_portable_build(monkeypatch):
    if torch.backends.cpu.get_cpu_capability() not in ('AVX2', 'AVX512'):
        pytest.skip('this processor has no AVX2')
    monkeypatch.setitem(implementation._loaded, 'cpp', CppKernels('avx2'))
    test_inference.__wrapped__((2, 8, 9, 21), torch.channels_last)
    test_inference.__wrapped__((9, 8, 3, 70), torch.contiguous_format)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(
    'norm', [nn.BatchNorm2d(6, affine=False), nn.GroupNorm(2, 6), nn.InstanceNorm2d(6)]
)
def test_norms_after_the_projection(norm, training):
    block, x = make_block(), draw(3, 8, 6, 7)
    block.after.norm = copy.deepcopy(norm)
    check(block.train(training), x)
    with torch.no_grad():
        check(block, x, fused=False)


def test_what_is_not_of_the_kind_is_not_fused():
    block = make_block()
    before, after = (Stage(s, s.conv, s.norm) for s in (block.before, block.after))
    wide, grouped = nn.Conv2d(12, 6, 3, padding=1), nn.Conv2d(12, 6, 1, groups=2)
    for stages in (
        [before._replace(norm=nn.GroupNorm(2, 12))],
        [before._replace(norm=nn.BatchNorm2d(12, affine=False))],
        [before, after._replace(relu6=True)],
        [before, after._replace(conv=wide)],
        [before, after._replace(conv=grouped)],
    ):
        assert Fusion.of(block, block.attention, *stages) is None
    for attention in (make_attention(12, axes='h'), nn.Identity()):
        assert Fusion.of(block, attention, before, after) is None
    assert Fusion.of(block, block.attention, before, after) is not None
    # The kernels know h-swish.
    block.attention.act = nn.ReLU()
    block.eval()
    check(block, draw(3, 8, 6, 7), fused=False)


@torch.no_grad()
def test_inference_after_training_after_inference():
    block, x = make_block().eval(), draw(3, 8, 6, 7)
    first = check(block, x)
    with torch.enable_grad():
        block.train()(x)
    assert not torch.allclose(check(block.eval(), x), first)


def test_a_whole_model_in_bfloat16():
    block, x = make_block().eval().bfloat16(), draw(3, 8, 6, 7).bfloat16()
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            assert check(block, x, fused=False).dtype is torch.bfloat16


class FullPrecision(nn.Conv2d):
    def forward(self, x):
        with torch.autocast('cpu', enabled=False):
            return super().forward(x.float())


@pytest.mark.parametrize('gradients', [True, False])
@pytest.mark.parametrize('given', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('keeps', [False, True])
def test_autocast(keeps, given, gradients):
    """With a convolution before the attention that ``keeps`` float32, too."""
    block, x = make_block().eval(), draw(3, 8, 6, 7)
    if keeps:
        weight = block.before.conv.weight
        block.before.conv = FullPrecision(8, 12, 3, padding=1, bias=False)
        block.before.conv.weight = weight
        block.eval()
    with torch.set_grad_enabled(gradients):
        exact = run(block, x)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            found = run(block, x.to(given))
            assert block.is_fused(x)
            with use_implementation('plain'):
                expected = run(block, x.to(given))
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        # Not number by number: one at ReLU6's bends may pass it or not.
        difference = (found[name] - exact[name]).double().norm()
        assert difference <= 0.1 * exact[name].double().norm().clamp(0.1), name


@torch.no_grad()
def test_autocast_to_float16_runs_the_layers():
    if not hasattr(torch.amp, 'is_autocast_available'):
        pytest.skip('this PyTorch has bfloat16 alone for autocast on the CPU')
    block, x = make_block().eval(), draw(3, 8, 6, 7)
    with torch.autocast('cpu', dtype=torch.float16):
        check(block, x, fused=False)


def test_a_frozen_block_passes_gradients_on():
    block, x = make_block().eval().requires_grad_(False), draw(3, 8, 6, 7)
    for form in FORMS:
        block = make_block(**form).eval().requires_grad_(False)
        check(block, x)
        with use_implementation('plain'):
            expected = block(x)  # nothing needs a gradient, and they are enabled
        torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-4)
