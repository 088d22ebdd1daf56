"""The C++ kernels against the plain expression: numbers, layouts, and what must not see them."""

import copy

import pytest
import torch
from torch import nn

from mmca.models import CoordinateAttention
from mmca.ops.build import build
from mmca.ops.implementation import describe, kernels_for, use_implementation
from mmca.ops.kernels import CppKernels
from mmca.ops.neighbours import NOTHING, Entry

# Rows and channels of every number of vectors, and what is left of them.
SHAPES = [(2, 16, 5, 7), (1, 24, 1, 9), (1, 40, 9, 1), (3, 37, 4, 6), (2, 8, 1, 1), (2, 64, 28, 20)]
SHAPES += [(1, 72, 30, 33), (9, 100, 8, 3), (1, 3, 2, 130), (2, 131, 14, 14)]
FORMATS = [torch.contiguous_format, torch.channels_last]


pytestmark = pytest.mark.usefixtures('compiled_kernels')


def make_block(channels, dtype=torch.float32, **options):
    """Gates far from constant, and pre-activations on both bends of h-swish."""
    block = CoordinateAttention(channels, **options).to(dtype)
    with torch.no_grad():
        block.bn1.weight.uniform_(0.5, 3)
        block.bn1.bias.uniform_(-3, 3)
    return block


def parameters_of(block):
    """In the kernels' order."""
    layers = block.conv1, block.bn1, block.conv_h, block.conv_w
    return [p for layer in layers for p in layer.parameters()]


def run(block, implementation, x, gradient):
    """Output, gradients of the input and the parameters, buffers after the step."""
    block = copy.deepcopy(block)
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    with use_implementation(implementation):
        assert (kernels_for(x) is None) == (implementation == 'plain')
        out = block(x)
        out.backward(gradient)
    named = {'out': out.detach(), 'grad of x': x.grad, **dict(block.named_buffers())}
    return named | {name: p.grad for name, p in block.named_parameters()}


def assert_same(found, expected, tolerance):
    for name, value in expected.items():
        # conv1.bias has no gradient but rounding's: batch norm removes it.
        scale = 1.0 if name == 'conv1.bias' else value.double().abs().max().item()
        difference = (found[name].double() - value.double()).abs().max().item()
        assert difference <= tolerance * scale, f'{name}: {difference} of {scale}'


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('memory_format', FORMATS)
@pytest.mark.parametrize('dtype, tolerance', [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_equals_the_plain_expression(shape, memory_format, dtype, tolerance):
    torch.manual_seed(0)
    block = make_block(shape[1], dtype, reduction=4)
    x = torch.randn(shape, dtype=dtype).to(memory_format=memory_format)
    gradient = torch.randn(shape, dtype=dtype)
    expected = run(block, 'plain', x, gradient)
    found = run(block, 'cpp', x, gradient)
    assert_same(found, expected, tolerance)
    assert found['out'].is_contiguous(memory_format=memory_format)
    with torch.no_grad():
        with use_implementation('plain'):
            expected = block.eval()(x)
        assert_same({'out': block(x)}, {'out': expected}, tolerance)


@pytest.mark.parametrize('memory_format', FORMATS)
def test_gradients_in_float64(memory_format):
    torch.manual_seed(0)
    block = make_block(10, torch.float64, min_channels=3)
    x = torch.randn(2, 10, 3, 5, dtype=torch.float64).to(memory_format=memory_format)
    names = [name for name, _ in block.named_parameters()]

    def function(x, *parameters):
        with use_implementation('cpp'):
            assert kernels_for(x) is not None
            for name, parameter in zip(names, parameters):
                owner, attribute = name.split('.')
                delattr(getattr(block, owner), attribute)
                setattr(getattr(block, owner), attribute, parameter)
            return block(x)

    parameters = [p.detach().clone().requires_grad_() for p in block.parameters()]
    assert torch.autograd.gradcheck(function, (x.requires_grad_(), *parameters))
    block.eval()
    assert torch.autograd.gradcheck(function, (x, *parameters))


@pytest.mark.parametrize('memory_format', FORMATS)
def test_incoming_gradients_of_any_layout(memory_format):
    torch.manual_seed(0)
    block = make_block(16)
    x = torch.randn(2, 16, 6, 5).to(memory_format=memory_format)
    dense = torch.randn(2, 16, 6, 10)
    gradients = [
        dense[..., ::2],
        torch.ones(()).expand(x.shape),
        torch.randn(2, 16, 1, 1).expand(x.shape),
        dense[..., :5].contiguous(memory_format=torch.channels_last),
    ]
    for gradient in gradients:
        expected = run(block, 'plain', x, gradient)
        assert_same(run(block, 'cpp', x, gradient), expected, 1e-4)
    gaps, gradient = torch.randn(2, 16, 6, 10)[..., ::2], dense[..., :5]
    assert_same(run(block, 'cpp', gaps, gradient), run(block, 'plain', gaps, gradient), 1e-4)


@pytest.mark.parametrize('memory_format', FORMATS)
def test_bfloat16_maps(memory_format):
    torch.manual_seed(0)
    block = make_block(32)
    x = torch.randn(2, 32, 9, 14).to(memory_format=memory_format)
    exact = run(block, 'plain', x.bfloat16().float(), x)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = run(block, 'cpp', x.bfloat16(), x.bfloat16())
    assert found['out'].dtype == found['grad of x'].dtype == torch.bfloat16
    # Rounded once, at the end: 2^-8; the incoming gradient before, too.
    assert_same(found, exact, 0.01)
    whole = copy.deepcopy(block).bfloat16()
    found = run(whole, 'cpp', x.bfloat16(), x.bfloat16())
    assert_same({'out': found['out']}, {'out': exact['out']}, 0.05)


def test_as_many_threads_as_one():
    torch.manual_seed(0)
    block = make_block(48)
    norm = [*torch.randn(1, 48), *torch.rand(1, 48) + 0.5, *torch.randn(2, 48)]
    parameters, norm_of_block = parameters_of(block), [torch.zeros(8), torch.ones(8)]
    threads = torch.get_num_threads()
    try:
        for shape in [(1, 48, 56, 56), (3, 48, 28, 28), (4, 48, 7, 7)]:
            for memory_format in FORMATS:
                x = torch.randn(shape).to(memory_format=memory_format)
                gradient = torch.randn(shape)
                results = []
                for count in (1, 2, 3, 2):
                    torch.set_num_threads(count)
                    results.append(run(block, 'cpp', x, gradient))
                    with torch.no_grad(), use_implementation('cpp'):
                        results[-1]['eval'] = copy.deepcopy(block).eval()(x)
                        results[-1]['with batch norm and ReLU6'] = kernels_for(x).block(
                            x.clone(), Entry(True, norm, 1e-5), parameters, norm_of_block, 1e-5
                        )
                for other in results[1:]:
                    for name, value in results[0].items():
                        assert torch.equal(other[name], value), (name, shape)
    finally:
        torch.set_num_threads(threads)


def test_running_statistics_as_batch_norm_keeps_them():
    x = torch.randn(4, 16, 6, 5)
    for options in ({}, {'momentum': None}, {'track_running_stats': False}, {'momentum': 0.3}):
        torch.manual_seed(0)
        block = make_block(16)
        block.bn1 = nn.BatchNorm2d(8, **options)
        fast = copy.deepcopy(block)
        for _ in range(3):
            with use_implementation('plain'):
                block(x)
            with use_implementation('cpp'):
                fast(x)
        assert set(dict(fast.named_buffers())) == set(dict(block.named_buffers()))
        for one, other in zip(fast.buffers(), block.buffers()):
            torch.testing.assert_close(one, other)
        # With fixed statistics while training (norm_eval), and in evaluation.
        block.bn1.eval(), fast.bn1.eval()
        gradient = torch.randn_like(x)
        assert_same(run(fast, 'cpp', x, gradient), run(block, 'plain', x, gradient), 1e-4)


@pytest.mark.parametrize(
    'options',
    [
        {'norm_cfg': {'type': 'GN', 'num_groups': 2}},
        {'act_cfg': {'type': 'ReLU'}},
        {'gate_cfg': {'type': 'HSigmoid'}},
        {'axes': 'h'},
        {'axes': 'w'},
    ],
)
def test_other_layers_between_pools_and_gates(options):
    torch.manual_seed(0)
    block = CoordinateAttention(16, **options)
    x, gradient = torch.randn(2, 16, 6, 5), torch.randn(2, 16, 6, 5)
    assert_same(run(block, 'cpp', x, gradient), run(block, 'plain', x, gradient), 1e-4)


def test_hooks_of_the_layers_run():
    block, seen = make_block(16), []
    block.bn1.register_forward_hook(lambda module, args, out: seen.append(out.shape))
    with use_implementation('cpp'):
        block(torch.randn(2, 16, 6, 5))
        with torch.no_grad():
            block.eval()(torch.randn(2, 16, 6, 5))
    assert seen == [(2, 8, 11, 1)] * 2


def test_layers_of_other_sizes_are_named():
    block = make_block(16)
    block.conv_h = nn.Conv2d(8, 16, 3, padding=1)
    message = r'parameter 4 of the attention is \[16, 8, 3, 3\].*MMCA_ATTENTION=plain'
    x = torch.randn(2, 16, 6, 5)
    with use_implementation('cpp'), pytest.raises(RuntimeError, match=message):
        block(x)
    with use_implementation('plain'):
        assert block(x).shape == x.shape


def test_weights_loaded_in_eval_mode_count():
    torch.manual_seed(0)
    block, other = make_block(16).eval(), make_block(16).eval()
    x = torch.randn(2, 16, 6, 5)
    with torch.no_grad(), use_implementation('cpp'):
        block(x)
        block.load_state_dict(other.state_dict())
        assert torch.equal(block(x), other(x))


def test_describe_names_what_runs():
    name, reason = describe('cpu')
    assert (name, 'native kernels in' in reason) == ('cpp', True)
    with use_implementation('plain'):
        assert describe(torch.device('cpu')) == ('plain', 'MMCA_ATTENTION=plain')
    message = "'fast' is not one of auto, plain, cpp, triton"
    with pytest.raises(ValueError, match=message), use_implementation('fast'):
        pass


@pytest.mark.slow
def test_the_portable_build_computes_the_same():
    if torch.backends.cpu.get_cpu_capability() not in ('AVX2', 'AVX512'):
        pytest.skip('this processor has no AVX2')
    build('avx2')
    torch.manual_seed(0)
    x, g = torch.randn(2, 3, 40, 12, 9).to(torch.bfloat16).float()
    native, portable = CppKernels('native'), CppKernels('avx2')
    for memory_format in FORMATS:
        x, g = (t.contiguous(memory_format=memory_format) for t in (x, g))
        pools = native.dual_pool(x)
        torch.testing.assert_close(portable.dual_pool(x), pools)
        torch.testing.assert_close(portable.gate(x, *pools), native.gate(x, *pools))
        for one, other in zip(
            portable.gate_gradients_and_output(g, x, *pools),
            native.gate_gradients_and_output(g, x, *pools),
        ):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    block = make_block(40).eval()
    running = [block.bn1.running_mean, block.bn1.running_var]
    parameters = parameters_of(block)
    statistics = running, False, 0.0, block.bn1.eps
    norm = [*torch.randn(1, 40), *torch.rand(1, 40) + 0.5, *torch.randn(2, 40)]
    with torch.no_grad(), use_implementation('plain'):
        expected = block(x)
        out = portable.block(x, NOTHING, parameters, running, block.bn1.eps)
        torch.testing.assert_close(out, expected)
        expected = block(nn.functional.relu6(nn.functional.batch_norm(x, *norm)))
        out = portable.block(x.clone(), Entry(True, norm, 1e-5), parameters, running, 1e-5)
        torch.testing.assert_close(out, expected)
        for clamp in (False, True):
            (one, *kept), (other, *_) = (
                kernels.forward(x.clone(), clamp, parameters, *statistics, [])
                for kernels in (native, portable)
            )
            torch.testing.assert_close(other, one)
            found, expected = (
                kernels.backward(g, x, clamp, *kept, parameters, False, [], False)
                for kernels in (portable, native)
            )
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
