"""What is changed in a block whose layers ran as one (mmca/ops/fusion.py) counts at once."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.nn.utils import fusion as nn_fusion
from torch.nn.utils import parametrize

from helpers.attention_block import make_attention
from helpers.fusion import check, draw, make_block
from mmca.ops.implementation import use_implementation

pytestmark = pytest.mark.usefixtures('fast')


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
