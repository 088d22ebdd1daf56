"""Inference keeps what it found out about the layers; whatever changes afterwards must be seen."""

import copy
import io

import pytest
import torch
from mmengine.model.utils import revert_sync_batchnorm
from projected import Projected
from torch import nn
from torch.nn.utils import parametrize

from mmca.ops.implementation import use_implementation


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def replace_a_parameter(module):
    module.conv.conv.weight = nn.Parameter(2 * module.conv.conv.weight)


def replace_all_tensors(module):
    state = {name: 1.5 * value for name, value in module.state_dict().items()}
    module.load_state_dict(state, assign=True)


def replace_a_layer(module):
    module.attention.act = nn.ReLU()


def replace_the_norm_after(module):
    module.conv.bn = nn.InstanceNorm2d(6)


def fuse_the_norm_before(module):
    # As mmcv's fuse_conv_bn does.
    module.before.conv = nn.utils.fuse_conv_bn_eval(module.before.conv, module.before.bn)
    module.before.bn = nn.Identity()
    module.before.bn.num_features = 12
    module.attention.conv_w.weight.data.mul_(3)


def train_a_norm(module):
    module.before.bn.train()


def train_the_norm_of_the_attention(module):
    module.attention.bn1.train()


def change_epsilon(module):
    for norm in (module.before.bn, module.attention.bn1, module.conv.bn):
        norm.eps = 0.5


def forget_the_weights_of_a_norm(module):
    module.conv.bn.weight = None
    module.conv.bn.bias = None


def parametrize_a_weight(module):
    parametrize.register_parametrization(module.attention.conv1, 'weight', Doubled())


def make_it_double(module):
    module.double()
    module.attention.conv_h.weight.data.mul_(3)


def replace_the_forward_of_a_layer(module):
    forward = module.attention.gate.forward
    module.attention.gate.forward = lambda x: 1 - forward(x)


CHANGES = [
    replace_the_forward_of_a_layer,
    replace_a_parameter,
    replace_all_tensors,
    replace_a_layer,
    replace_the_norm_after,
    fuse_the_norm_before,
    train_a_norm,
    train_the_norm_of_the_attention,
    change_epsilon,
    forget_the_weights_of_a_norm,
    parametrize_a_weight,
    make_it_double,
]


def make_module():
    torch.manual_seed(0)
    module = Projected()
    for _ in range(3):  # running statistics
        module(torch.randn(4, 8, 6, 7) + 1)
    for norm in (module.before.bn, module.attention.bn1, module.conv.bn):
        nn.init.uniform_(norm.weight, 0.5, 2)
    return module.eval()


@torch.no_grad()
def check(module, x):
    """The output, and that the plain expression's is the same."""
    with use_implementation('plain'):
        expected = copy.deepcopy(module)(x)
    out = module(x)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    return out


@pytest.mark.parametrize('change', CHANGES)
def test_what_changes_after_the_first_image_counts(fast, change):
    module, x = make_module(), torch.randn(3, 8, 6, 7)
    before = check(module, x)
    assert module.attention._fixed_block is not None
    with torch.no_grad():
        change(module)
    x = x.to(module.before.conv.weight.dtype)
    assert not torch.allclose(check(module, x).float(), before, rtol=1e-3, atol=1e-3)


class FullPrecision(nn.Conv2d):
    def forward(self, x):
        with torch.autocast('cpu', enabled=False):
            return super().forward(x.float())


@torch.no_grad()
def test_autocast_of_the_projection_alone(fast):
    module, x = make_module(), torch.randn(3, 8, 6, 7)
    weight = module.before.conv.weight
    module.before.conv = FullPrecision(8, 12, 1, bias=False)
    module.before.conv.weight = weight
    exact = check(module, x)
    assert module.attention._fixed_block is not None
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = module(x)
        with use_implementation('plain'):
            expected = module(x)
    assert found.dtype == expected.dtype == torch.bfloat16
    assert (found - exact).abs().max() <= 0.05 * exact.abs().max()


def test_tensors_of_a_functional_call_count(fast):
    module, x = make_module(), torch.randn(3, 8, 6, 7)
    before = check(module, x)
    tensors = {name: 1.5 * value for name, value in module.state_dict().items()}
    with torch.no_grad():
        out = torch.func.functional_call(module, tensors, x)
        with use_implementation('plain'):
            expected = torch.func.functional_call(module, tensors, x)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(out, before, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(check(module, x), before)


def test_copies_have_weights_of_their_own(fast):
    module, x = make_module(), torch.randn(3, 8, 6, 7)
    before = check(module, x)
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    copies = [copy.deepcopy(module), torch.load(file, weights_only=False)]
    copies.append(revert_sync_batchnorm(copy.deepcopy(module)))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    for one in copies:
        torch.testing.assert_close(check(one, x), before)
    assert check(module, x).abs().max() == 0


def test_another_surrounding_of_the_same_attention(fast):
    module, other = make_module(), make_module()
    x = torch.randn(3, 8, 6, 7)
    check(module, x)
    other.attention = module.attention
    with torch.no_grad():
        other.before.bn.weight.mul_(3)
        other.conv.bn.bias.add_(3)
    first, second = check(module, x), check(other, x)
    assert not torch.allclose(first, second)
    torch.testing.assert_close(check(module, x), first)
