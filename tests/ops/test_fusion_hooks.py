"""Layers that run as one (mmca/ops/fusion.py) run one by one where hooks are to see their maps."""

import copy

import pytest
import torch
from torch.nn.modules import module as nn_module

from helpers.attention_block import AttentionBlock
from helpers.fusion import draw, make_block
from mmca.ops.implementation import use_implementation

pytestmark = pytest.mark.usefixtures('fast')

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
