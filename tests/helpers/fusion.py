"""Blocks whose layers may run as one, compared with their layers run one by one."""

import copy

import torch

from helpers.attention_block import AttentionBlock
from mmca.ops.implementation import use_implementation

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
