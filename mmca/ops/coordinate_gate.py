"""Coordinate attention with the fast kernels, forward and backward.

Kernels for the whole block (:class:`_Block`) also take over the ReLU6 before it: it is done on the
way to the pools, in the same pass. In inference (:class:`~mmca.ops.fixed_block.FixedBlock`) so is
the batch norm before that, and the 1x1 convolution after it and its batch norm belong to the same
operator.

Otherwise there are three steps, each a node of the autograd graph: pools, gates from pools, gated
map. The map passes the first node unchanged on its way to the last. In backward the last node
computes the gradients of the gates and sends the *incoming* gradient back along that way, with the
gates; the first node, which then has the gradients of the pools, too, makes the input's gradient
from all in one pass.

Only the map, which the layer before keeps anyway, and the small profiles are kept for backward:
where a 1x1 convolution follows, it is included, and the gated map is made again.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from mmca.ops.fixed_block import fixed_block_arguments
from mmca.ops.implementation import kernels_for
from mmca.ops.neighbours import (
    Entry,
    are_all_hooked,
    attention_parameters,
    ends_in_relu6,
    is_fixed,
    is_hooked,
    is_plain_projection,
)

_WIDE = {torch.float64: torch.float64, torch.float32: torch.float32, torch.bfloat16: torch.float32}


class _Link:
    """What the last node's backward leaves for the first one's."""

    gates: tuple[Tensor, Tensor] | None = None
    # Whether the gradient sent along is nobody else's and may be overwritten.
    owned = False


def _dense(x: Tensor) -> Tensor:
    """Without gaps, in the memory format that it has."""
    if x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last):
        return x
    return x.contiguous()


def _dense_like(g: Tensor, x: Tensor) -> Tensor:
    """A gradient may come expanded, in the other memory format, or in gaps."""
    if g.stride() == x.stride() and g.dtype == x.dtype:
        return g
    return torch.empty_like(x).copy_(g)


class _Pools(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Any, link: _Link) -> tuple[Tensor, Tensor, Tensor]:
        ctx.kernels, ctx.link = kernels, link
        return x, *kernels.dual_pool(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, grad_pool_h: Tensor, grad_pool_w: Tensor) -> tuple:
        gates, ctx.link.gates = ctx.link.gates, None
        out = ctx.kernels.input_gradient(g, *gates, grad_pool_h, grad_pool_w, ctx.link.owned)
        return out, None, None


class _Gated(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gate_h: Tensor, gate_w: Tensor, kernels: Any, link: _Link
    ) -> Tensor:
        ctx.kernels, ctx.link = kernels, link
        ctx.save_for_backward(x, gate_h, gate_w)
        return kernels.gate(x, gate_h, gate_w)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple:
        x, gate_h, gate_w = ctx.saved_tensors
        g = _dense_like(g, x)
        ctx.link.gates = gate_h, gate_w
        return g, *ctx.kernels.gate_gradients(g, x, gate_h, gate_w), None, None


class _GatedProjected(Function):
    """:class:`_Gated` and a 1x1 convolution after it; the map between is not kept."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gate_h: Tensor,
        gate_w: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        kernels: Any,
        link: _Link,
    ) -> Tensor:
        ctx.kernels, ctx.link = kernels, link
        ctx.bias_shape = None if bias is None else bias.shape
        ctx.save_for_backward(x, gate_h, gate_w, weight)
        return nn.functional.conv2d(kernels.gate(x, gate_h, gate_w), weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple:
        x, gate_h, gate_w, weight = ctx.saved_tensors
        # Under autocast the convolution ran in the dtype that its gradient has.
        like_g = weight.to(g.dtype)

        def convolution_backward(gated: Tensor, wanted: list[bool]) -> tuple:
            geometry = [1, 1], [0, 0], [1, 1], False, [0, 0], 1
            shape = None if ctx.bias_shape is None else list(ctx.bias_shape)
            return torch.ops.aten.convolution_backward(g, gated, like_g, shape, *geometry, wanted)

        needs = ctx.needs_input_grad
        # For this gradient the input's values do not matter.
        g_map = convolution_backward(x.to(g.dtype), [True, False, False])[0]
        g_map = _dense_like(g_map, x)
        *grad_gates, gated = ctx.kernels.gate_gradients_and_output(g_map, x, gate_h, gate_w)
        _, grad_weight, grad_bias = convolution_backward(
            gated.to(g.dtype), [False, needs[3], needs[4]]
        )
        ctx.link.gates, ctx.link.owned = (gate_h, gate_w), True
        if grad_weight is not None:
            grad_weight = grad_weight.to(weight.dtype)
        if grad_bias is not None:
            grad_bias = grad_bias.to(weight.dtype)
        return g_map, *grad_gates, grad_weight, grad_bias, None, None


class _Block(Function):
    """All in one, with a ReLU6 before and a 1x1 convolution after; for kernels that have it."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        kernels: Any,
        clamp: bool,
        statistics: tuple,
        projection: int,
        *weights: Tensor,
    ) -> Tensor:
        """The last ``projection`` of ``weights`` are the convolution's."""
        end = len(weights) - projection
        out, *kept = kernels.forward(x, clamp, weights[:end], *statistics, weights[end:])
        ctx.kernels, ctx.clamp, ctx.batch, ctx.end = kernels, clamp, statistics[1], end
        ctx.save_for_backward(x, *kept, *weights)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple:
        x, *kept = ctx.saved_tensors
        kept, weights = kept[:5], kept[5:]
        parameters, projection = weights[: ctx.end], weights[ctx.end :]
        wanted = any(ctx.needs_input_grad[5 + ctx.end :])
        grad_x, *grads = ctx.kernels.backward(
            g, x, ctx.clamp, *kept, parameters, ctx.batch, projection, wanted
        )
        missing = len(weights) - len(grads)
        return grad_x, None, None, None, None, *grads, *[None] * missing


def _statistics(norm: nn.BatchNorm2d) -> tuple:
    """Running statistics, whether the batch's are used, momentum, epsilon: as `norm` would."""
    momentum = 0.0 if norm.momentum is None else norm.momentum
    if norm.training and norm.track_running_stats and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        if norm.momentum is None:
            momentum = 1 / float(norm.num_batches_tracked)
    tracked = norm.running_mean is not None and norm.running_var is not None
    running = [norm.running_mean, norm.running_var] if tracked else []
    if norm.training and not norm.track_running_stats:
        running = []
    return running, norm.training or not tracked, momentum, norm.eps


def _gates_by_layers(attention: nn.Module, pool_h: Tensor, pool_w: Tensor) -> tuple:
    height = pool_h.shape[2]
    pools = torch.cat([pool_h, pool_w], dim=2).unsqueeze(3)
    y = attention.act(attention.bn1(attention.conv1(pools)))
    gate_h = attention.gate(attention.conv_h(y[:, :, :height]))
    gate_w = attention.gate(attention.conv_w(y[:, :, height:].transpose(2, 3)))
    return gate_h.squeeze(3), gate_w.squeeze(2)


def _attend(
    attention: nn.Module,
    x: Tensor,
    kernels: Any,
    parameters: list[Tensor] | None,
    clamp: bool = False,
    projection: nn.Conv2d | None = None,
) -> Tensor:
    norm = attention._modules['bn1']
    learning = torch.is_grad_enabled() and (
        x.requires_grad or any(p.requires_grad for p in parameters or attention.parameters())
    )
    if parameters is not None:
        x = _dense(x)
        if projection is None and not learning and is_fixed(norm):
            running = [norm._buffers['running_mean'], norm._buffers['running_var']]
            return kernels.block(x, Entry(clamp), parameters, running, norm.eps)
        weights = [] if projection is None else [projection.weight, projection.bias]
        weights = [weight for weight in weights if weight is not None]
        statistics = _statistics(norm)
        return _Block.apply(x, kernels, clamp, statistics, len(weights), *parameters, *weights)
    link = _Link()
    x, pool_h, pool_w = _Pools.apply(_dense(x), kernels, link)
    gates = _gates_by_layers(attention, pool_h.to(x.dtype), pool_w.to(x.dtype))
    gates = [gate.to(pool_h.dtype) for gate in gates]
    if projection is None:
        return _Gated.apply(x, *gates, kernels, link)
    return _GatedProjected.apply(x, *gates, projection.weight, projection.bias, kernels, link)


def _parameters_for(kernels: Any, attention: nn.Module, x: Tensor) -> list[Tensor] | None:
    if not kernels.has_block or are_all_hooked():
        return None
    return attention_parameters(attention, _WIDE[x.dtype])


def coordinate_attention(attention: nn.Module, x: Tensor) -> Tensor | None:
    """What ``attention``, a :class:`mmca.models.CoordinateAttention`, makes of ``x``.

    Args:
        attention (nn.Module): Layers ``conv1``, ``bn1``, ``act``, ``conv_h``, ``conv_w``, ``gate``.
        x (Tensor): (N, C, H, W).

    Returns:
        Tensor | None: None where the plain expression is to run.
    """
    kernels = kernels_for(x)
    if kernels is None:
        return None
    return _attend(attention, x, kernels, _parameters_for(kernels, attention, x))


def attention_between(
    attention: nn.Module, before: nn.Module, x: Tensor, after: nn.Module
) -> Tensor | None:
    """``after(attention(before(x)))`` with less time and memory, where the layers allow it.

    Args:
        attention (nn.Module): As in :func:`coordinate_attention`.
        before (nn.Module): If it is a convolution with batch norm and ReLU6, that ReLU6 is fused.
        x (Tensor): (N, C, H, W).
        after (nn.Module): If it is a 1x1 convolution with a norm, its input, where gradients are
            wanted, is not kept for backward but made again. Where none are, and both have batch
            norms with fixed statistics, these are fused, too.

    Returns:
        Tensor | None: None where the plain expression is to run.
    """
    kernels = kernels_for(x)
    if kernels is None:
        return None
    training = torch.is_grad_enabled()
    if kernels.has_block and not training:
        block = fixed_block_arguments(attention, before, after, _WIDE[x.dtype])
        if block is not None:
            x = before._modules['conv'](x)
            if x.dtype in kernels.dtypes:
                return kernels.block(_dense(x), *block)
            # Autocast's choice for the convolution.
            return after(attention(before.activate(before.norm(x))))
    if is_hooked(attention) or are_all_hooked():
        return None
    parameters = _parameters_for(kernels, attention, x)
    clamp = parameters is not None and ends_in_relu6(before)
    x = before(x, activate=False) if clamp else before(x)
    if x.dtype not in kernels.dtypes:
        return after(attention(before.activate(x) if clamp else x))
    if not training or not is_plain_projection(after):
        return after(_attend(attention, x, kernels, parameters, clamp))
    conv, norm = after._modules['conv'], after._modules[after.norm_name]
    return norm(_attend(attention, x, kernels, parameters, clamp, conv))
