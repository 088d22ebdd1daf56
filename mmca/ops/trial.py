"""The small trial that kernels must pass before their first use."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mmca.ops.kernels import CppKernels, TritonKernels
from mmca.ops.neighbours import NOTHING, Exit


def try_out(kernels: CppKernels | TritonKernels) -> None:
    """Compare each kernel with the plain expression, on a small map in both memory formats.

    Raises:
        RuntimeError: If one of them computes something else.
    """
    values = torch.linspace(-1, 1, 2 * 8 * 6 * 7, device=kernels.device).view(2, 8, 6, 7)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x, g = (t.contiguous(memory_format=memory_format) for t in (values, values.flip(0, 1)))
        by_h, by_w = x.mean(3, keepdim=True), x.mean(2, keepdim=True)
        gates = by_h.squeeze(3), by_w.squeeze(2)
        expected = (g * x * by_w).sum(3), (g * x * by_h).sum(2)
        pairs = [
            *zip(kernels.dual_pool(x), gates),
            (kernels.gate(x, *gates), x * by_w * by_h),
            *zip(kernels.gate_gradients(g, x, *gates), expected),
            (kernels.input_gradient(g, *gates, *gates), g * by_w * by_h + by_h / 7 + by_w / 6),
        ]
        if kernels.has_block:
            pairs += _try_out_block(kernels, x, g)
        if not all(torch.allclose(one, other, rtol=1e-4, atol=1e-4) for one, other in pairs):
            raise RuntimeError('they compute wrong numbers')


def _try_out_block(kernels: CppKernels, x: Tensor, g: Tensor) -> list[tuple[Tensor, Tensor]]:
    sizes = (8, 8, 1, 1), (8,), (8,), (8,), (8, 8, 1, 1), (8,), (8, 8, 1, 1), (8,)
    parameters = [
        torch.linspace(-1, 1, math.prod(size)).roll(i).view(size) for i, size in enumerate(sizes)
    ]
    running = [torch.zeros(8), torch.ones(8)]

    def plain(x: Tensor, *p: Tensor, batch: bool) -> Tensor:
        profiles = torch.cat([x.mean(3, keepdim=True), x.mean(2).unsqueeze(3)], dim=2)
        y = F.batch_norm(F.conv2d(profiles, *p[:2]), *running, *p[2:4], training=batch, momentum=0)
        y = F.hardswish(y)
        gate_h = F.conv2d(y[:, :, :6], *p[4:6]).sigmoid()
        gate_w = F.conv2d(y[:, :, 6:].transpose(2, 3), *p[6:]).sigmoid()
        return x * gate_w * gate_h

    with torch.enable_grad():
        inputs = [t.detach().clone().requires_grad_() for t in (x, *parameters)]
        outputs = [plain(*inputs, batch=batch) for batch in (True, False)]
        gradients = torch.autograd.grad(outputs[0], inputs, g)
    ending = Exit(parameters[:1], [*running, *parameters[2:4]], 1e-5)
    projected = F.batch_norm(F.conv2d(outputs[1], parameters[0]), *ending.norm)
    out, *kept = kernels.forward(x, False, parameters, running, True, 0.0, 1e-5, [])
    found = kernels.backward(g, x, False, *kept, parameters, True, [], False)
    return [
        (out, outputs[0]),
        (kernels.block(x, NOTHING, parameters, running, 1e-5), outputs[1]),
        (kernels.block(x, NOTHING, parameters, running, 1e-5, ending), projected),
        *zip(found, gradients),
    ]
