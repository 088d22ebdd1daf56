"""Coordinate attention with the fast kernels, forward and backward.

Three steps, each a node of the autograd graph: pools, gates from pools, gated map. The map passes
the first node unchanged on its way to the last. In backward the last node computes the gradients
of the gates and sends the *incoming* gradient back along that way, with the gates; the first node,
which then has the gradients of the pools, too, makes the input's gradient from all in one pass.

Only the map, which the layer before keeps anyway, and the small profiles are kept for backward:
where a 1x1 convolution follows, the last node includes it and recomputes the gated map.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.modules import module as nn_module

from mmca.ops.implementation import is_compiling, kernels_for

_HOOKS = ('_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks')
_LAYERS = {
    'conv1': nn.Conv2d,
    'bn1': nn.BatchNorm2d,
    'act': nn.Hardswish,
    'conv_h': nn.Conv2d,
    'conv_w': nn.Conv2d,
    'gate': nn.Sigmoid,
}
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


class _Gates(Function):
    """conv1, batch norm, h-swish, conv_h and conv_w, sigmoids."""

    @staticmethod
    def forward(
        ctx: Any,
        pool_h: Tensor,
        pool_w: Tensor,
        kernels: Any,
        statistics: tuple,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        gate_h, gate_w, *others = kernels.middle_forward(pool_h, pool_w, parameters, *statistics)
        ctx.kernels, ctx.batch = kernels, statistics[1]
        ctx.save_for_backward(pool_h, pool_w, gate_h, gate_w, *others, *parameters)
        return gate_h, gate_w

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor, grad_w: Tensor) -> tuple:
        saved = ctx.saved_tensors
        kept, parameters = saved[:-8], saved[-8:]
        out = ctx.kernels.middle_backward(grad_h, grad_w, *kept, parameters, ctx.batch)
        return out[0], out[1], None, None, *out[2:]


def is_hooked(module: nn.Module) -> bool:
    """Whether something of the user's sees what goes into the module or comes out of it."""
    attributes = module.__dict__
    return 'forward' in attributes or any(attributes.get(name) for name in _HOOKS)


def _globally_hooked() -> bool:
    return bool(
        nn_module._global_forward_hooks
        or nn_module._global_forward_pre_hooks
        or nn_module._global_backward_hooks
        or nn_module._global_backward_pre_hooks
    )


def _parameters(attention: nn.Module, dtype: torch.dtype) -> list[Tensor] | None:
    """In the kernels' order; None if they cannot stand for the layers, which then run as such."""
    layers = attention._modules
    for name, cls in _LAYERS.items():
        layer = layers[name]
        if type(layer) is not cls or is_hooked(layer):
            return None
    if _globally_hooked():
        return None
    owners = layers['conv1'], layers['bn1'], layers['conv_h'], layers['conv_w']
    # Not by attribute: for a module that takes several times as long, which a single image feels.
    parameters = [owner._parameters.get(name) for owner in owners for name in ('weight', 'bias')]
    if any(p is None or p.dtype is not dtype for p in parameters):
        return None
    running = layers['bn1']._buffers['running_mean']
    if running is not None and running.dtype is not dtype:
        return None
    return parameters


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


def is_plain_projection(attention: nn.Module, conv: nn.Module) -> bool:
    """Whether ``conv``, an mmcv ``ConvModule`` after ``attention``, only projects and normalises.

    Nothing may watch the map between the two, which would not exist. Without gradients nothing
    is kept anyway.
    """
    if is_compiling() or not torch.is_grad_enabled():
        return False
    inner = conv._modules.get('conv')
    return (
        type(inner) is nn.Conv2d
        and inner.kernel_size == inner.stride == (1, 1)
        and inner.groups == 1
        and inner.padding in ((0, 0), 'valid')
        and conv.order == ('conv', 'norm', 'act')
        and conv.with_norm
        and not conv.with_activation
        and not conv.with_explicit_padding
        and getattr(conv, 'efficient_conv_bn_eval_forward', None) is None
        and not any(is_hooked(module) for module in (attention, conv, inner))
        and not _globally_hooked()
    )


def coordinate_attention(
    attention: nn.Module,
    x: Tensor,
    projection: nn.Conv2d | None = None,
    overwrite: bool = False,
) -> Tensor | None:
    """What ``attention``, a :class:`mmca.models.CoordinateAttention`, makes of ``x``.

    Args:
        attention (nn.Module): Layers ``conv1``, ``bn1``, ``act``, ``conv_h``, ``conv_w``, ``gate``.
        x (Tensor): (N, C, H, W).
        projection (nn.Conv2d | None): A 1x1 convolution to apply to the result.
        overwrite (bool): Whether x may hold the result, where no gradient is wanted.

    Returns:
        Tensor | None: None where the plain expression, and the convolution after it, will do.
    """
    kernels = kernels_for(x)
    if kernels is None:
        return None
    parameters = _parameters(attention, _WIDE[x.dtype]) if kernels.has_middle else None
    norm = attention._modules['bn1']
    if not torch.is_grad_enabled() or not (
        x.requires_grad or any(p.requires_grad for p in parameters or attention.parameters())
    ):
        if projection is not None:
            return None
        if parameters is not None and not norm.training:
            running = [norm._buffers['running_mean'], norm._buffers['running_var']]
            if running[0] is not None:
                return kernels.block(_dense(x), parameters, running, norm.eps, overwrite)
    link = _Link()
    x, pool_h, pool_w = _Pools.apply(_dense(x), kernels, link)
    if parameters is not None:
        gates = _Gates.apply(pool_h, pool_w, kernels, _statistics(norm), *parameters)
    else:
        gates = _gates_by_layers(attention, pool_h.to(x.dtype), pool_w.to(x.dtype))
        gates = [gate.to(pool_h.dtype) for gate in gates]
    if projection is None:
        return _Gated.apply(x, *gates, kernels, link)
    return _GatedProjected.apply(x, *gates, projection.weight, projection.bias, kernels, link)
