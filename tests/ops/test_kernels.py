"""One contract for all kernels: they compute what the reference does, forward and backward.

Those of Triton run on a GPU, or in its interpreter (``TRITON_INTERPRET=1``, see test_triton.py).
"""

import copy
import os
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers.attention_block import FORMATS, AttentionBlock, make_attention
from mmca.ops.autograd import attend
from mmca.ops.cpp_kernels import CppKernels

# Rows and channels of every number of vectors, and what is left of them.
CPP_SHAPES = [(2, 16, 5, 7), (1, 24, 1, 9), (1, 40, 9, 1), (3, 37, 4, 6), (2, 8, 1, 1)]
CPP_SHAPES += [(2, 64, 28, 20), (1, 72, 30, 33), (9, 100, 8, 3), (1, 3, 2, 130), (2, 131, 14, 14)]
# The last two: several tiles along the height and along the channels.
TRITON_SHAPES = [(2, 5, 7, 9), (1, 3, 1, 4), (3, 8, 5, 1), (2, 1, 1, 1)]
TRITON_SHAPES += [(1, 3, 9, 300), (1, 70, 2, 3)]
# MobileNetV2's at 224 pixels and one from a crop of 513: too large for the interpreter.
GPU_SHAPES = [(16, 144, 56, 56), (8, 192, 28, 28), (16, 960, 7, 7), (2, 96, 129, 129)]

SETS = ['cpp', pytest.param('avx2', marks=pytest.mark.slow), 'triton']
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='large: needs a CUDA GPU')
CASES = [
    pytest.param(name, shape, marks=marks, id=f'{name}-{"x".join(map(str, shape))}')
    for name, shapes, marks in (
        ('cpp', CPP_SHAPES, ()),
        ('avx2', CPP_SHAPES, pytest.mark.slow),
        ('triton', TRITON_SHAPES, ()),
        ('triton', GPU_SHAPES, needs_gpu),
    )
    for shape in shapes
]

every_set = pytest.mark.parametrize('name', SETS)
every_format = pytest.mark.parametrize('memory_format', FORMATS, ids=['nchw', 'channels_last'])


@pytest.fixture
def kernels(name, request, monkeypatch):
    torch.manual_seed(0)
    if name == 'cpp':
        request.getfixturevalue('compiled_kernels')
        return CppKernels('native')
    if name == 'avx2':
        if torch.backends.cpu.get_cpu_capability() not in ('AVX2', 'AVX512'):
            pytest.skip('this processor has no AVX2')
        request.getfixturevalue('compiled_kernels')
        return CppKernels('avx2')
    pytest.importorskip('triton', reason='Triton is not installed')
    interpreted = os.environ.get('TRITON_INTERPRET') == '1'
    if not interpreted and not torch.cuda.is_available():
        pytest.skip('no CUDA GPU (test_triton.py runs this on the CPU)')
    from mmca.ops.triton_kernels import TritonKernels

    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    # The convolution after the attention is PyTorch's.
    monkeypatch.setattr(torch.backends.cudnn, 'deterministic', True)
    kernels = TritonKernels()
    kernels.device = 'cpu' if interpreted else 'cuda'
    return kernels


class Case:
    """``conv(attention(relu6(x)))``, a map and the gradient of the output."""

    def __init__(self, kernels, shape, relu6=False, conv=False, bias=True, memory_format=None):
        memory_format = memory_format or torch.contiguous_format
        channels = shape[1]
        self.kernels, self.relu6, self.conv = kernels, relu6, None
        self.attention = make_attention(channels).to(kernels.device)
        if conv:
            self.conv = nn.Conv2d(channels, 6, 1, bias=bias).to(kernels.device)
        self.x = self.draw(shape) * 4 + 3 if relu6 else self.draw(shape)  # both bends of ReLU6
        self.x = self.x.to(memory_format=memory_format)
        self.g = self.draw((shape[0], 6, *shape[2:]) if conv else shape)

    def draw(self, shape):
        return torch.randn(shape).to(self.kernels.device)

    def norm_of_attention(self, norm):
        self.attention.bn1 = norm.to(self.kernels.device)
        return self

    def train(self, mode):
        self.attention.train(mode)
        return self

    def run(self, dtype=None):
        """Output, gradients, and buffers afterwards, in ``dtype`` with autocast if it is given."""
        attention, conv = copy.deepcopy((self.attention, self.conv))
        leaf = (self.x if dtype is None else self.x.to(dtype)).detach().requires_grad_()
        # ReLU6 overwrites what it is given.
        x = leaf.clone() if self.relu6 else leaf
        context = torch.autocast(self.kernels.device, dtype) if dtype else nullcontext()
        with context:
            out = attend(attention, x, self.kernels, self.relu6, conv)
        out.backward(self.g.to(out.dtype))
        return results(attention, conv, leaf, out)

    def reference(self, dtype=None):
        """The same from the reference in float64; maps rounded to ``dtype`` before."""
        attention, conv = copy.deepcopy((self.attention, self.conv))
        modules = nn.ModuleList(m for m in (attention, conv) if m is not None)
        modules.double()
        leaf = (self.x if dtype is None else self.x.to(dtype)).double().detach().requires_grad_()
        out = attention.reference(F.relu6(leaf) if self.relu6 else leaf)
        out = out if conv is None else conv(out)
        out.backward(self.g.double())
        return results(attention, conv, leaf, out)

    def check(self, tolerance=1e-4, dtype=None):
        found = self.run(dtype)
        assert_same(found, self.reference(dtype), tolerance)
        return found


def results(attention, conv, x, out):
    named = {'out': out.detach(), 'grad of x': x.grad, **dict(attention.named_buffers())}
    for prefix, module in (('attention', attention), ('conv', conv)):
        parameters = [] if module is None else module.named_parameters()
        named |= {f'{prefix}.{name}': parameter.grad for name, parameter in parameters}
    return named


def assert_same(found, expected, tolerance):
    """Relative to the largest value of each."""
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        # conv1.bias has no gradient but rounding's of its sum: batch norm removes it.
        like = expected[name.replace('conv1.bias', 'conv1.weight')]
        scale = max(like.double().abs().max().item(), 0.1)
        difference = (found[name].double() - value.double()).abs().max().item()
        assert difference <= tolerance * scale, f'{name}: {difference} of {scale}'


def forms(kernels):
    """What may stand around the attention: ReLU6 before it, a convolution after it."""
    surroundings = [{}, dict(conv=True)]
    if kernels.fuse_around:
        surroundings += [dict(relu6=True), dict(relu6=True, conv=True, bias=False)]
    return surroundings


@every_format
@pytest.mark.parametrize('name, shape', CASES)
def test_equal_the_reference(kernels, shape, memory_format):
    for form in forms(kernels):
        case = Case(kernels, shape, memory_format=memory_format, **form)
        found = case.check()
        assert form.get('conv') or found['out'].is_contiguous(memory_format=memory_format)
        case.train(False).check()  # with fixed statistics
        with torch.no_grad():
            x = case.x.clone()
            out = attend(case.attention, x, kernels, case.relu6, case.conv)
        assert_same({'out': out}, {'out': case.reference()['out']}, 1e-4)


@every_set
@every_format
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_maps_of_half_precision(kernels, dtype, memory_format):
    if dtype not in kernels.dtypes:
        pytest.skip(f'they take no {dtype}')
    for form in forms(kernels):
        case = Case(kernels, (2, 32, 9, 14), memory_format=memory_format, **form)
        found = case.check(0.02 if kernels.fuse_around else 0.04, dtype)
        assert found['out'].dtype == found['grad of x'].dtype == dtype
        assert found['attention.conv_h.weight'].dtype == torch.float32


@every_set
@every_format
def test_gradients_of_any_layout_and_maps_with_gaps(kernels, memory_format):
    for form in forms(kernels):
        case = Case(kernels, (2, 16, 6, 5), memory_format=memory_format, **form)
        n, c, h, w = case.g.shape
        for gradient in (
            case.draw((n, c, h, 2 * w))[..., ::2],
            case.draw(()).expand(n, c, h, w),
            case.draw((n, c, 1, 1)).expand(n, c, h, w),
            case.draw((n, c, w, h)).transpose(2, 3),
            case.g.contiguous(memory_format=torch.channels_last),
        ):
            case.g = gradient
            case.check()
        case.x = case.draw((2, 16, 9, 10))[:, :, 1:7, ::2]
        case.check()


@every_set
@pytest.mark.parametrize(
    'options', [{}, {'momentum': None}, {'track_running_stats': False}, {'momentum': 0.3}]
)
def test_running_statistics_as_batch_norm_keeps_them(kernels, options):
    case = Case(kernels, (4, 16, 6, 5)).norm_of_attention(nn.BatchNorm2d(8, **options))
    plain = copy.deepcopy(case.attention)
    for _ in range(3):
        x = case.draw((4, 16, 6, 5))
        attend(case.attention, x, kernels), plain.reference(x)
    assert set(dict(plain.named_buffers())) == set(dict(case.attention.named_buffers()))
    for one, other in zip(case.attention.buffers(), plain.buffers()):
        torch.testing.assert_close(one, other)
    case.attention.bn1.eval()  # fixed while training
    case.check()


@every_set
def test_results_repeat_bit_by_bit(kernels):
    for shape in ((2, 16, 6, 5), (2, 3, 9, 130)):
        for memory_format in FORMATS:
            case = Case(kernels, shape, conv=True, memory_format=memory_format)
            first, again = case.run(), case.run()
            for name, value in first.items():
                assert torch.equal(again[name], value), name


@pytest.mark.parametrize('name', ['cpp'])
def test_as_many_threads_as_one(kernels, fast):
    """Bit for bit, in training and in inference."""
    threads = torch.get_num_threads()
    block = AttentionBlock(48, projected=False)
    block.before.conv = nn.Identity()  # PyTorch's convolutions depend on it
    block.eval()
    try:
        for shape in [(1, 48, 56, 56), (3, 48, 28, 28), (4, 48, 7, 7)]:
            for memory_format in FORMATS:
                case = Case(kernels, shape, relu6=True, memory_format=memory_format)
                results = []
                for count in (1, 2, 3, 2):
                    torch.set_num_threads(count)
                    fixed = case.train(False).run()
                    result = {
                        **case.train(True).run(),
                        **{f'eval {k}': v for k, v in fixed.items()},
                    }
                    with torch.no_grad():
                        results.append({**result, 'infer': block(case.x.clone())})
                for other in results[1:]:
                    for name, value in results[0].items():
                        assert torch.equal(other[name], value), (name, shape)
    finally:
        torch.set_num_threads(threads)


@every_set
@pytest.mark.parametrize('conv', [False, True])
def test_what_needs_no_gradient_gets_none(kernels, conv):
    case = Case(kernels, (2, 8, 6, 7), conv=conv)
    modules = nn.ModuleList([case.attention, *[case.conv] * conv])
    x = case.x.requires_grad_()

    def loss(x):
        return attend(case.attention, x, kernels, conv=case.conv).square().sum()

    every = torch.autograd.grad(loss(x), [x, *modules.parameters()])
    # Of the parameters alone.
    loss(x.detach()).backward()
    for parameter, gradient in zip(modules.parameters(), every[1:]):
        torch.testing.assert_close(parameter.grad, gradient)
        parameter.grad = None
    # Of one parameter, though all want one.
    names = [name for name, _ in modules.named_parameters()]
    index = names.index('0.conv_h.weight')
    [found] = torch.autograd.grad(loss(x), [case.attention.conv_h.weight])
    torch.testing.assert_close(found, every[1 + index])
    # Of one parameter that alone wants one.
    modules.requires_grad_(False)
    case.attention.conv_h.weight.requires_grad_()
    loss(x.detach()).backward()
    torch.testing.assert_close(case.attention.conv_h.weight.grad, every[1 + index])
    case.attention.conv_h.weight.grad = None
    # Of the input alone.
    modules.requires_grad_(False)
    loss(x).backward()
    torch.testing.assert_close(x.grad, every[0])
    assert all(p.grad is None for p in modules.parameters())


@pytest.mark.parametrize('name', ['cpp'])
@pytest.mark.parametrize('training', [True, False])
def test_frozen_layers_pass_the_relu6(kernels, training):
    """Gradients are enabled and nobody needs one."""
    case = Case(kernels, (2, 8, 6, 7), relu6=True).train(training)
    case.attention.requires_grad_(False)
    expected = copy.deepcopy(case.attention).reference(F.relu6(case.x))
    torch.testing.assert_close(attend(case.attention, case.x, kernels, relu6=True), expected)


@every_set
def test_without_gradients(kernels):
    for form in forms(kernels):
        case = Case(kernels, (2, 8, 6, 7), **form).train(False)
        expected = attend(case.attention, case.x.clone(), kernels, case.relu6, case.conv)
        with torch.no_grad():
            out = attend(case.attention, case.x.clone(), kernels, case.relu6, case.conv)
        assert torch.equal(out, expected) and not out.requires_grad


@every_set
def test_second_backward(kernels):
    for form in forms(kernels):
        case = Case(kernels, (2, 8, 6, 7), **form)
        x = case.x.requires_grad_()
        values = []
        for _ in range(2):
            out = attend(case.attention, x.clone(), kernels, case.relu6, case.conv)
            values.append(out.square().sum())
        value, other = values
        [first] = torch.autograd.grad(value, [x], retain_graph=True)
        [again] = torch.autograd.grad(value, [x])
        assert torch.equal(first, again)
        [graph] = torch.autograd.grad(other, [x], create_graph=True)
        with pytest.raises(RuntimeError, match='once_differentiable'):
            graph.sum().backward()


@pytest.mark.parametrize('name', ['cpp'])
def test_autograd_is_told_of_an_overwritten_map(kernels):
    case = Case(kernels, (2, 8, 6, 7), relu6=True)
    x = case.x.requires_grad_().clone()
    kept_by_another = x.square()
    out = attend(case.attention, x, kernels, relu6=True)
    with pytest.raises(RuntimeError, match='modified by an inplace operation'):
        (kept_by_another.sum() + out.sum()).backward()
