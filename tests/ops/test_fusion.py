"""The contract of mmca/ops/fusion.py: what runs as one, and what lets the layers run one by one."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.nn.modules import module as nn_module
from torch.nn.utils import fusion as nn_fusion
from torch.nn.utils import parametrize

from helpers.attention_block import FORMATS, AttentionBlock, make_attention
from mmca.ops import implementation
from mmca.ops.cpp_kernels import CppKernels
from mmca.ops.fusion import Fusion, Stage
from mmca.ops.implementation import use_implementation

pytestmark = pytest.mark.usefixtures('fast')

FORMS = [dict(), dict(relu6=False, projected=False), dict(relu6=False), dict(projected=False)]


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make_block(channels=12, **form):
    torch.manual_seed(0)
    return AttentionBlock(channels, **form)


def run(block, x):
    """Output, gradients of everything and buffers; without gradients, output alone."""
    if not torch.is_grad_enabled():
        return {'out': block(x)}
    block = copy.deepcopy(block)
    leaf = x.detach().requires_grad_()
    out = block(leaf)
    out.float().square().mean().backward()
    named = {'out': out.detach(), 'grad of x': leaf.grad, **dict(block.named_buffers())}
    return named | {name: p.grad for name, p in block.named_parameters() if p.grad is not None}


def check(block, x, fused=True):
    """That the layers run as one, or not, and compute the same in either case; the output."""
    with use_implementation('plain'):
        expected = run(block, x)
    found = run(block, x)
    assert copy.deepcopy(block).is_fused(x) == fused
    assert list(found) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, rtol=1e-4, atol=1e-4, msg=lambda m, n=name: f'{n}: {m}'
        )
    return found['out']


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


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def load_other_weights(block):
    block.load_state_dict({name: 1.5 * value for name, value in block.state_dict().items()})


def assign_other_tensors(block):
    state = {name: 1.5 * value for name, value in block.state_dict().items()}
    block.load_state_dict(state, assign=True)


def replace_a_parameter(block):
    block.after.conv.weight = nn.Parameter(2 * block.after.conv.weight)


def change_epsilon(block):
    for norm in block.norms():
        norm.eps = 0.5


def forget_the_weights_of_a_norm(block):
    block.after.norm.weight = block.after.norm.bias = None


def train_the_norm_before(block):
    block.before.norm.train()


def train_the_norm_of_the_attention(block):
    block.attention.bn1.train()


def parametrize_the_convolution_before(block):
    parametrize.register_parametrization(block.before.conv, 'weight', Doubled())


def parametrize_the_attention(block):
    parametrize.register_parametrization(block.attention.conv1, 'weight', Doubled())


def make_it_double(block):
    block.double()
    block.attention.conv_h.weight.data.mul_(3)


def replace_a_layer_of_the_attention(block):
    block.attention.act = nn.ReLU()


def replace_the_attention(block):
    block.attention = make_attention(12).eval()


def remove_the_attention(block):
    block.attention = nn.Identity()


def replace_the_projection(block):
    block.after = nn.Conv2d(12, 6, 1)


def replace_the_norm_after(block):
    block.after.norm = nn.InstanceNorm2d(6)


def add_an_adapter(block):
    block.before.append(nn.Conv2d(12, 12, 1))


def fuse_the_norm_before(block):
    stage = block.before
    stage.conv = nn_fusion.fuse_conv_bn_eval(stage.conv, stage.norm)
    stage.norm = nn.Identity()
    block.attention.conv_w.weight.data.mul_(3)


def fuse_the_norm_after(block):
    stage = block.after
    stage.conv = nn_fusion.fuse_conv_bn_eval(stage.conv, stage.norm)
    stage.norm = nn.Identity()
    block.attention.conv_w.weight.data.mul_(3)


def synchronise_the_norms(block):
    nn.SyncBatchNorm.convert_sync_batchnorm(block)
    block.attention.conv_w.weight.data.mul_(3)


def replace_the_forward_of_a_gate(block):
    forward = block.attention.gate.forward
    block.attention.gate.forward = lambda x: 1 - forward(x)


def replace_the_forward_of_a_stage(block):
    forward = block.before.forward
    block.before.forward = lambda x: 2 * forward(x)


def replace_the_forward_of_the_attention(block):
    block.attention.forward = lambda x: 2 * x


# Which of them the block goes on as one operator with, while training and in inference.
CHANGES = {
    load_other_weights: (True, True),
    assign_other_tensors: (True, True),
    replace_a_parameter: (True, True),
    change_epsilon: (True, True),
    forget_the_weights_of_a_norm: (True, False),
    train_the_norm_before: (True, False),
    train_the_norm_of_the_attention: (True, False),
    parametrize_the_convolution_before: (True, True),
    parametrize_the_attention: (True, True),
    make_it_double: (False, False),
    replace_a_layer_of_the_attention: (False, False),
    replace_the_attention: (False, False),
    remove_the_attention: (False, False),
    replace_the_projection: (False, False),
    replace_the_norm_after: (False, False),
    add_an_adapter: (False, False),
    fuse_the_norm_before: (False, False),
    fuse_the_norm_after: (False, False),
    synchronise_the_norms: (False, False),
    replace_the_forward_of_a_gate: (False, False),
    replace_the_forward_of_a_stage: (False, False),
    replace_the_forward_of_the_attention: (False, False),
}


@pytest.mark.parametrize('gradients', [True, False])
@pytest.mark.parametrize('copied', [False, True])
@pytest.mark.parametrize('change', CHANGES)
def test_what_changes_after_the_first_call_counts(change, copied, gradients):
    block, x = make_block().eval(), draw(3, 8, 6, 7)
    with torch.set_grad_enabled(gradients):
        before = check(block, x)
        if copied:
            block = copy.deepcopy(block)
        with torch.no_grad():
            change(block)
        x = x.to(next(block.parameters()).dtype)
        after = check(block, x, fused=CHANGES[change][not gradients])
        assert not torch.allclose(after.float(), before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('mode', ['train', 'eval'])
def test_a_replaced_layer_counts_after_train_or_eval(mode):
    block, x = make_block().eval(), draw(3, 8, 6, 7)
    block.after = nn.Sequential()
    block.after.conv, block.after.norm = nn.Conv2d(12, 4, 1), nn.BatchNorm2d(4)
    block.attention = make_attention(12)
    block.after.eval(), block.attention.eval()
    check(block, x, fused=False)
    getattr(block, mode)()
    assert check(block, x).shape == (3, 4, 6, 7)


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


HOOKS = [
    'register_forward_hook',
    'register_forward_pre_hook',
    'register_full_backward_hook',
    'register_full_backward_pre_hook',
]
LAYERS = [name for name, _ in AttentionBlock().named_modules() if name]


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('kind', HOOKS)
def test_hooks_see_every_map(kind, training):
    block, x = make_block().train(training), draw(3, 8, 6, 7).requires_grad_()
    for name in LAYERS:
        for gradients in (True,) if 'backward' in kind else (True, False):
            seen = {'plain': [], 'cpp': []}
            for implementation_, maps in seen.items():
                one = copy.deepcopy(block)

                def hook(layer, *maps_of, maps=maps):
                    tensors = (t for t in maps_of for t in (t if isinstance(t, tuple) else (t,)))
                    maps.extend(t.detach().clone() for t in tensors if t is not None)

                handle = getattr(one.get_submodule(name), kind)(hook)
                with use_implementation(implementation_), torch.set_grad_enabled(gradients):
                    out = one(x)
                    if gradients:
                        out.square().mean().backward()
                assert not one.is_fused(x)
                handle.remove()
                assert one.is_fused(x)  # again
            assert seen['plain'], name
            torch.testing.assert_close(seen['cpp'], seen['plain'], rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize('kind', ['forward', 'forward_pre', 'full_backward'])
def test_hooks_for_all_modules_see_every_layer(kind):
    block, x, called = make_block(), draw(3, 8, 6, 7).requires_grad_(), []
    register = getattr(nn_module, f'register_module_{kind}_hook')
    handle = register(lambda layer, *maps: called.append(layer))
    try:
        block(x).sum().backward()
    finally:
        handle.remove()
    assert {*called} == {*block.modules()}


@torch.no_grad()
def test_a_kept_map_stays_as_it_was():
    """In inference the gated map takes the place of the convolution's output."""
    block, x, kept = make_block().eval(), draw(3, 8, 6, 7), []
    expected = block.before.norm(block.before.conv(x))
    block.before.norm.register_forward_hook(lambda layer, args, out: kept.append(out))
    block(x)
    torch.testing.assert_close(kept[0], expected)


@torch.no_grad()
def test_tensors_of_a_functional_call_count():
    block, x = make_block().eval(), draw(3, 8, 6, 7)
    before = check(block, x)
    tensors = {name: 1.5 * value for name, value in block.state_dict().items()}
    out = torch.func.functional_call(block, tensors, x)
    with use_implementation('plain'):
        expected = torch.func.functional_call(block, tensors, x)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(out, before, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(check(block, x), before)


@torch.no_grad()
def test_copies_have_weights_of_their_own():
    block, x = make_block().eval(), draw(3, 8, 6, 7)
    before = check(block, x)
    file = io.BytesIO()
    torch.save(block, file)
    file.seek(0)
    copies = copy.deepcopy(block), torch.load(file, weights_only=False)
    for parameter in block.parameters():
        parameter.zero_()
    for one in copies:
        torch.testing.assert_close(check(one, x), before)
    assert check(block, x).abs().max() == 0


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
    if not torch.amp.autocast_mode.is_autocast_available('cpu'):
        pytest.skip('no autocast')
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


def test_one_attention_in_two_blocks():
    block, other, x = make_block().eval(), make_block().eval(), draw(3, 8, 6, 7)
    other.attention = block.attention
    other.eval()
    with torch.no_grad():
        first = check(block, x)
        other.before.norm.weight.mul_(3)
        other.after.norm.bias.add_(3)
        assert not torch.allclose(check(other, x), first)
        torch.testing.assert_close(check(block, x), first)
