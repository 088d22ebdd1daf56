"""The Triton kernels against plain PyTorch: on a GPU, or under Triton's interpreter on the CPU.

The interpreter has to be chosen before Triton is imported. Without a GPU, most tests are
skipped here, and the last two run them in a process of their own.
"""

import os
import re
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

triton = pytest.importorskip('triton', reason='Triton is not installed')

INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'
DEVICE = 'cpu' if INTERPRETED else 'cuda'
needs_device = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(),
    reason='no CUDA GPU (test_under_the_interpreter runs this on the CPU)',
)
if INTERPRETED or torch.cuda.is_available():
    from mmca.ops import triton_kernels as kernels

FORMATS = {'nchw': torch.contiguous_format, 'channels_last': torch.channels_last}
DTYPES = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}
SMALL = [(2, 5, 7, 9), (1, 3, 1, 4), (3, 8, 5, 1), (2, 1, 1, 1), (2, 16, 14, 14), (1, 24, 3, 5)]
# Cut along the height in channels_last, in NCHW, and along the width in both.
CUT = [(1, 4, 64, 140), (1, 2, 64, 300), (1, 2, 3, 600)]
# More than one block each way; several small planes to a program.
LARGE = [(2, 20, 40, 300), (2, 520, 2, 3)]
# MobileNetV2's at 224 pixels and one from a crop of 513, too large for the interpreter.
REAL = [(16, 144, 56, 56), (8, 192, 28, 28), (16, 960, 7, 7), (2, 96, 129, 129)]

shapes = pytest.mark.parametrize(
    'shape',
    [
        *SMALL,
        *CUT,
        *(pytest.param(shape, marks=pytest.mark.slow) for shape in LARGE),
        *(() if INTERPRETED else REAL),
    ],
    ids=str,
)
formats = pytest.mark.parametrize('memory_format', FORMATS.values(), ids=FORMATS)
dtypes = pytest.mark.parametrize('dtype', DTYPES.values(), ids=DTYPES)


def draw(shape, dtype=torch.float32, memory_format=torch.contiguous_format):
    """A map, the gradient of the block's output, gates, and gradients of the means."""
    generator = torch.Generator().manual_seed(sum(shape))
    n, c, h, w = shape

    def normal(*size):
        return torch.randn(size, generator=generator).to(DEVICE, dtype)

    x, g = (normal(*shape).contiguous(memory_format=memory_format) for _ in range(2))
    gates = normal(n, c, h).sigmoid(), normal(n, c, w).sigmoid()
    return x, g, gates, (normal(n, c, h), normal(n, c, w))


def run_all(x, g, gates, grad_pools):
    return (
        *kernels.dual_pool(x),
        kernels.gate(x, *gates),
        *kernels.gate_gradients(g, x, *gates),
        kernels.input_gradient(g, *gates, *grad_pools),
    )


def plain(x, g, gates, grad_pools):
    """The same in float64."""
    x, g, by_h, by_w, add_h, add_w = (value.double() for value in (x, g, *gates, *grad_pools))
    by_h, by_w = by_h[:, :, :, None], by_w[:, :, None]
    height, width = x.shape[2:]
    return (
        x.mean(3),
        x.mean(2),
        x * by_w * by_h,
        (g * x * by_w).sum(3),
        (g * x * by_h).sum(2),
        g * by_w * by_h + add_h[:, :, :, None] / width + add_w[:, :, None] / height,
    )


def assert_close(outputs, references, dtype):
    """Equal but for one rounding to dtype (the interpreter rounds down) and float32's sums."""
    rtol = 1e-5 if dtype == torch.float32 else torch.finfo(dtype).eps
    for output, reference in zip(outputs, references, strict=True):
        assert output.dtype == dtype
        atol = 2e-6 * reference.abs().max().item()
        torch.testing.assert_close(output.double(), reference, rtol=rtol, atol=atol)


@needs_device
@shapes
@dtypes
@formats
def test_kernels_equal_plain(shape, dtype, memory_format):
    inputs = draw(shape, dtype, memory_format)
    outputs = run_all(*inputs)
    assert_close(outputs, plain(*inputs), dtype)
    for result in (outputs[2], outputs[5]):
        assert result.is_contiguous(memory_format=memory_format)


@needs_device
@formats
@pytest.mark.parametrize('shape', CUT if INTERPRETED else CUT + REAL, ids=str)
def test_results_repeat_bit_by_bit(shape, memory_format):
    inputs = draw(shape, memory_format=memory_format)
    for output, again in zip(run_all(*inputs), run_all(*inputs), strict=True):
        assert torch.equal(output, again)


@needs_device
def test_shapes_take_every_way_through_the_map():
    """Otherwise what the test above shows would shrink unnoticed as the blocks change."""

    def cut(shape, memory_format):
        x = torch.empty(shape, device=DEVICE).contiguous(memory_format=FORMATS[memory_format])
        return kernels._cut(kernels._dense(x)[1], x.element_size())

    assert cut(CUT[0], 'channels_last').parts_h > 1
    assert cut(CUT[1], 'nchw').parts_h > 1
    assert min(cut(CUT[2], memory_format).parts_w for memory_format in FORMATS) > 1
    assert cut(LARGE[0], 'channels_last').steps > 1
    assert cut(LARGE[0], 'nchw').steps > 1
    assert cut(LARGE[1], 'nchw').block_p > 1


@needs_device
@formats
def test_gradients_in_any_layout(memory_format):
    """`out.sum().backward()` expands one number; a layer behind may use the other format."""
    x, g, gates, grad_pools = draw((2, 6, 5, 7), memory_format=memory_format)
    other = set(FORMATS.values()) - {memory_format}
    for gradient in (
        torch.tensor(0.5, device=DEVICE).expand(x.shape),
        g.contiguous(memory_format=other.pop()),
        g.transpose(2, 3).contiguous().transpose(2, 3),
    ):
        outputs = run_all(x, gradient, gates, grad_pools)
        assert_close(outputs, plain(x, gradient, gates, grad_pools), torch.float32)


@needs_device
@formats
def test_map_with_gaps_and_profiles_in_any_layout(memory_format):
    x, g, gates, grad_pools = draw((2, 6, 8, 9), memory_format=memory_format)
    gates = tuple(gate.transpose(1, 2).contiguous().transpose(1, 2) for gate in gates)
    gates = gates[0][:, :, 1:6], gates[1][:, :, 2:]
    grad_pools = grad_pools[0][:, :, 1:6], grad_pools[1][:, :, 2:]
    inputs = x[:, :, 1:6, 2:], g[:, :, 1:6, 2:], gates, grad_pools
    outputs = run_all(*inputs)
    assert_close(outputs, plain(*inputs), torch.float32)
    assert outputs[2].is_contiguous(memory_format=memory_format)


@needs_device
def test_gates_of_another_dtype():
    """Under autocast the map may be half where the gates are float32."""
    x, g, *_ = draw((2, 6, 5, 7), torch.float16)
    _, _, gates, grad_pools = draw((2, 6, 5, 7))
    outputs = run_all(x, g, gates, grad_pools)
    references = plain(x, g, gates, grad_pools)
    assert_close(outputs[3:5], references[3:5], torch.float32)
    half = outputs[:3] + outputs[5:], references[:3] + references[5:]
    assert_close(*half, torch.float16)


@needs_device
@formats
def test_input_gradient_in_place(memory_format):
    inputs = _, g, gates, grad_pools = draw((2, 6, 5, 7), memory_format=memory_format)
    expected = plain(*inputs)[5:]
    out = kernels.input_gradient(g, *gates, *grad_pools, overwrite=True)
    assert out.data_ptr() == g.data_ptr()
    assert_close([g], expected, torch.float32)


@needs_device
def test_empty_batch():
    outputs = run_all(*draw((0, 4, 3, 2)))
    assert [tuple(output.shape) for output in outputs] == [
        (0, 4, 3),
        (0, 4, 2),
        (0, 4, 3, 2),
        (0, 4, 3),
        (0, 4, 2),
        (0, 4, 3, 2),
    ]


def attend(pool_h, pool_w, parameters):
    """The block's small part, from means to gates, in float64 (no TF32)."""
    conv1, scale, shift, conv_h, conv_w = parameters
    means = torch.cat([pool_h, pool_w], dim=2).double()
    y = F.batch_norm(F.conv1d(means, conv1), None, None, scale, shift, training=True)
    y_h, y_w = F.hardswish(y).split([pool_h.shape[2], pool_w.shape[2]], dim=2)
    return F.conv1d(y_h, conv_h).sigmoid(), F.conv1d(y_w, conv_w).sigmoid()


def fused_block(x, g, parameters):
    """Output and gradients of the block from the four kernels."""
    pools = [pool.requires_grad_() for pool in kernels.dual_pool(x)]
    gates = attend(*pools, parameters)
    values = [gate.detach().float() for gate in gates]
    out = kernels.gate(x, *values)
    grad_gates = [grad.double() for grad in kernels.gate_gradients(g, x, *values)]
    gradients = torch.autograd.grad(gates, [*pools, *parameters], grad_gates)
    grad_x = kernels.input_gradient(g, *values, *gradients[:2])
    return out, grad_x, *gradients[2:]


def plain_block(x, g, parameters):
    """The same by autograd."""
    x = x.double().requires_grad_()
    gate_h, gate_w = attend(x.mean(3), x.mean(2), parameters)
    out = x * gate_w[:, :, None] * gate_h[:, :, :, None]
    return out.detach(), *torch.autograd.grad(out, [x, *parameters], g.double())


@needs_device
@formats
@pytest.mark.parametrize('shape', [(2, 5, 7, 9), (1, 9, 1, 6), (2, 16, 14, 14)], ids=str)
def test_kernels_chain_into_the_block(shape, memory_format):
    x, g, *_ = draw(shape, memory_format=memory_format)
    generator = torch.Generator().manual_seed(0)
    channels = shape[1]
    parameters = [
        torch.randn(size, generator=generator, dtype=torch.float64).to(DEVICE).requires_grad_()
        for size in ((8, channels, 1), (8,), (8,), (channels, 8, 1), (channels, 8, 1))
    ]
    fused, reference = fused_block(x, g, parameters), plain_block(x, g, parameters)
    for output, expected in zip(fused, reference, strict=True):
        error = (output - expected).abs().max() / expected.abs().max()
        assert error < 1e-5


needs_triton_3 = pytest.mark.skipif(
    INTERPRETED or int(triton.__version__.split('.')[0]) < 3,
    reason=f'Triton {triton.__version__} neither interprets nor compiles without a GPU, 3 does',
)


@needs_triton_3
@formats
@pytest.mark.parametrize('flag', [False, True])
def test_compiler_takes_the_kernels(flag, memory_format, tmp_path, monkeypatch):
    """The interpreter is laxer about types; this makes code for an A100, without one."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmca.ops import triton_tiles

    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    shared = dict(CHANNELS_LAST=memory_format == torch.channels_last, ALIGNMENT=8)
    for kernel, constants in (
        (triton_tiles.sum_profiles, dict(GATED=flag, BLOCK_P=16, BLOCK_H=4, BLOCK_W=8)),
        (triton_tiles.apply_gates, dict(ADDED=flag, BLOCK_R=16, BLOCK_C=8)),
    ):
        constants = constants | shared
        types = dict.fromkeys(kernel.arg_names, 'i32') | dict.fromkeys(constants, 'constexpr')
        maps = {'x', 'g', 'gate_h', 'gate_w', 'add_h', 'add_w', 'out', 'out_h', 'out_w'}
        types |= dict.fromkeys(maps & types.keys(), '*bf16')
        types |= dict.fromkeys(('scale_h', 'scale_w'), 'fp32')
        source = ASTSource(fn=kernel, signature=types, constexprs=constants)
        code = triton.compile(source, target=GPUTarget('cuda', 80, 32)).asm['ptx']
        assert '.target sm_80' in code
        # Nothing is added up in an order that differs from run to run.
        assert 'atom.' not in code and 'red.global' not in code


def interpret(marker):
    """Run the tests of a marker expression, but these here, under Triton's interpreter."""
    selection = ['-k', 'not interpreter and not compiler', '-m', marker]
    command = [sys.executable, '-m', 'pytest', __file__, *selection]
    environment = os.environ | {'TRITON_INTERPRET': '1', 'CUDA_VISIBLE_DEVICES': ''}
    child = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert child.returncode == 0, child.stdout + child.stderr
    assert re.search(r'\d+ passed', child.stdout), child.stdout
    assert 'skipped' not in child.stdout, child.stdout


@needs_triton_3
def test_under_the_interpreter():
    interpret('not slow')


@needs_triton_3
@pytest.mark.slow
def test_large_maps_under_the_interpreter():
    interpret('slow')
