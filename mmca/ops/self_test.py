"""The test that kernels must pass before their first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mmca.ops.autograd import attend
from mmca.ops.cpp_kernels import FixedNorm
from mmca.ops.layer import AttentionLayers

if TYPE_CHECKING:
    from mmca.ops.cpp_kernels import CppKernels
    from mmca.ops.triton_kernels import TritonKernels


def check_kernels(kernels: CppKernels | TritonKernels) -> None:
    """Raise an error unless they compute the reference, on a small map in both memory formats."""
    # Gradients are needed here, whatever the first call is in: inference mode, too.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(kernels.device, enabled=False),
        torch.random.fork_rng(),
    ):
        torch.manual_seed(0)
        found, expected = [], []
        for memory_format in (torch.contiguous_format, torch.channels_last):
            for total, some in zip((found, expected), _computed(kernels, memory_format)):
                total += some
    pairs = zip(found, expected, strict=True)
    if not all(torch.allclose(one, other, rtol=1e-3, atol=1e-3) for one, other in pairs):
        raise RuntimeError('they compute wrong numbers')


def _computed(
    kernels: CppKernels | TritonKernels, memory_format: torch.memory_format
) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and gradients of the kernels, and of the reference."""
    layer = AttentionLayers(16, 8, nn.BatchNorm2d(8), nn.Hardswish(), nn.Sigmoid())
    layer.to(kernels.device)
    values = torch.randn(2, 2, 16, 6, 7, device=kernels.device)
    x, g = (v.contiguous(memory_format=memory_format) for v in values)
    tensors = [x.requires_grad_(), *kernels.weights(layer)]
    results = []
    for out in (attend(layer, x, kernels), layer.reference(x)):
        results.append([out.detach(), *torch.autograd.grad(out, tensors, g)])
    if kernels.fuse_around:
        bn = layer.eval().bn1
        with torch.no_grad():
            results[1].append(layer.reference(x))
            norm = FixedNorm(torch.zeros(16), torch.ones(16), torch.ones(16), torch.zeros(16))
            running, out = (bn.running_mean, bn.running_var), x.detach().clone()
            kernels.infer_(out, norm, 0.0, False, kernels.weights(layer), running, bn.eps)
            results[0].append(out)
    return results[0], results[1]
