"""One node of autograd's graph for the attention, the ReLU6 before it and a 1x1 convolution after.

Only the map, which the layer before keeps anyway, and small profiles are kept for backward: where
the convolution is included, its input, the gated map, is made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

if TYPE_CHECKING:
    from mmca.ops.cpp_kernels import CppKernels
    from mmca.ops.layer import AttentionLayers
    from mmca.ops.triton_kernels import TritonKernels


def dense(x: Tensor) -> Tensor:
    """Without gaps, in the memory format that it has."""
    if x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last):
        return x
    return x.contiguous()


def _like(g: Tensor, x: Tensor) -> Tensor:
    """A gradient may come expanded, in the other memory format, or in gaps."""
    return g if g.stride() == x.stride() and g.dtype == x.dtype else torch.empty_like(x).copy_(g)


def _convolution_backward(g: Tensor, x: Tensor, conv: list[Tensor], *needed: bool) -> tuple:
    """Gradients of input, weight and bias, as far as needed, of a 1x1 convolution."""
    # Under autocast the convolution ran in the dtype that its gradient has.
    tensors = g, x.to(g.dtype), conv[0].to(g.dtype)
    bias_size = list(conv[1].shape) if len(conv) > 1 else None
    geometry = [1, 1], [0, 0], [1, 1], False, [0, 0], 1
    return torch.ops.aten.convolution_backward(*tensors, bias_size, *geometry, needed)


class _Attention(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        attention: AttentionLayers,
        kernels: CppKernels | TritonKernels,
        relu6: bool,
        split: int,
        *tensors: Tensor,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """``tensors``: ``split`` parameters of the attention, then the convolution's."""
        weights, conv = tensors[:split], tensors[split:]
        out, kept, ctx.state = kernels.forward(x, attention, weights, relu6)
        ctx.kernels, ctx.relu6, ctx.split, ctx.kept = kernels, relu6, split, len(kept)
        ctx.save_for_backward(x, *kept, *tensors)
        ctx.set_materialize_grads(False)
        out = F.conv2d(out, *conv) if conv else out
        if not relu6:
            return out
        ctx.mark_dirty(x)  # whoever kept it gets an error from autograd, not a wrong gradient
        return out, x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, _: None = None) -> tuple:
        x, *saved = ctx.saved_tensors
        kept, tensors = saved[: ctx.kept], saved[ctx.kept :]
        weights, conv = tensors[: ctx.split], tensors[ctx.split :]
        needed = ctx.needs_input_grad[5 + ctx.split :]
        gated = torch.empty_like(x) if any(needed) else None
        if conv:
            # For this gradient the values of the convolution's input do not matter.
            g_map = _like(_convolution_backward(g, x, conv, True, False, False)[0], x)
            grad_x = g_map  # nobody else's
        else:
            g_map, grad_x = _like(g, x), torch.empty_like(x)
        gradients = ctx.kernels.backward(
            g_map, x, weights, kept, ctx.state, relu6=ctx.relu6, grad_x=grad_x, gated=gated
        )
        of_conv = [None] * len(conv)
        if gated is not None:
            found = _convolution_backward(g, gated, conv, False, needed[0], any(needed[1:]))[1:]
            of_conv = [one if one is None else one.to(conv[0].dtype) for one in found[: len(conv)]]
        return grad_x, None, None, None, None, *gradients, *of_conv


def attend(
    attention: AttentionLayers,
    x: Tensor,
    kernels: CppKernels | TritonKernels,
    relu6: bool = False,
    conv: nn.Conv2d | None = None,
) -> Tensor:
    """``conv(attention(relu6(x)))``, differentiable once.

    Args:
        attention (AttentionLayers): One that the kernels accept.
        x (Tensor): (N, C, H, W).
        kernels (CppKernels | TritonKernels): Those for ``x``.
        relu6 (bool): Whether a ReLU6 comes before; ``x`` is then overwritten.
        conv (nn.Conv2d | None): A 1x1 convolution after it, if one is included.
    """
    if not (kernels.fuse_around or torch.is_grad_enabled()):
        out = kernels.infer(dense(x), attention)
        return out if conv is None else conv(out)
    weights = kernels.weights(attention)
    after = [] if conv is None else [p for p in (conv.weight, conv.bias) if p is not None]
    tensors = *weights, *after
    out = _Attention.apply(dense(x), attention, kernels, relu6, len(weights), *tensors)
    return out[0] if relu6 else out
