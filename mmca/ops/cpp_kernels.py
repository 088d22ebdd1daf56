"""The C++ kernels for the CPU (``cpp/``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from mmca.ops.build import build

if TYPE_CHECKING:
    from mmca.ops.layer import AttentionLayers


class Weights(NamedTuple):
    """Parameters of the attention, float32, with C channels and M between the convolutions."""

    conv1_weight: Tensor  # (M, C, 1, 1)
    conv1_bias: Tensor  # (M,)
    norm_weight: Tensor  # (M,)
    norm_bias: Tensor  # (M,)
    conv_h_weight: Tensor  # (C, M, 1, 1)
    conv_h_bias: Tensor  # (C,)
    conv_w_weight: Tensor  # (C, M, 1, 1)
    conv_w_bias: Tensor  # (C,)


class FixedNorm(NamedTuple):
    """A batch norm that only scales and shifts: four (C,) tensors, float32."""

    mean: Tensor
    variance: Tensor
    weight: Tensor
    bias: Tensor


class Kept(NamedTuple):
    """What backward needs of forward, float32, for N images of H x W."""

    pools: Tensor  # (N * H + N * W, C)
    gates: Tensor  # (N * H + N * W, C)
    features: Tensor  # (1, M, N * H + N * W), what conv1 makes of the pools
    normed: Tensor  # (1, M, N * H + N * W), what the batch norm makes of them
    mean: Tensor  # (M,), of the batch
    inv_std: Tensor  # (M,), of the batch


class Statistics(NamedTuple):
    """What the batch norm in the attention normalises with."""

    running: tuple[Tensor, ...]  # mean and variance, (M,) each; or nothing
    of_batch: bool
    eps: float


def has_standard_layers(attention: nn.Module) -> bool:
    """Whether the attention is what the kernels compute: h-swish, sigmoids, affine batch norm."""
    convs = [getattr(attention, name, None) for name in ('conv1', 'conv_h', 'conv_w')]
    return (
        all(type(conv) is nn.Conv2d for conv in convs)
        and (type(attention.bn1) is nn.BatchNorm2d and attention.bn1.affine)
        and type(attention.act) is nn.Hardswish
        and type(attention.gate) is nn.Sigmoid
    )


def is_watched(layer: nn.Module) -> bool:
    """Whether somebody sees what goes into the layer or comes out of it, or does its work."""
    own = vars(layer)
    hooks = '_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks'
    return 'forward' in own or any(own[name] for name in hooks)


def is_fixed(norm: nn.BatchNorm2d) -> bool:
    """Whether a batch norm uses its running statistics."""
    return not norm.training and norm.running_mean is not None


def _count_batch(norm: nn.BatchNorm2d) -> tuple[Statistics, float]:
    """Its statistics, and the momentum with which they change, as ``norm`` itself would."""
    momentum = 0.0 if norm.momentum is None else norm.momentum
    if norm.training and norm.track_running_stats and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        if norm.momentum is None:
            momentum = 1 / float(norm.num_batches_tracked)
    tracked = norm.running_mean is not None and (norm.track_running_stats or not norm.training)
    running = (norm.running_mean, norm.running_var) if tracked else ()
    return Statistics(running, norm.training or not tracked, norm.eps), momentum


class CppKernels:
    """float32 and bfloat16 maps; parameters, profiles and sums in float32.

    Args:
        arch (str): ``'native'`` or ``'avx2'``; compiled, unless that is done, which may raise
            :class:`~mmca.ops.build.BuildError`.
    """

    device = 'cpu'
    dtypes = (torch.float32, torch.bfloat16)
    # Whether they take the layers around the attention, too: in training the ReLU6 before it, in
    # inference all of them.
    fuse_around = True
    # In maps with fewer, what starting a kernel costs is more than it saves.
    least_elements = 1

    def __init__(self, arch: str = 'native') -> None:
        torch.ops.load_library(str(build(arch)))
        operators = getattr(torch.ops, f'mmca_{arch}')
        self._forward = operators.forward.default
        self._backward = operators.backward.default
        self.infer_ = operators.infer.default
        self.infer_projected = operators.infer_projected.default

    def accepts(self, attention: AttentionLayers) -> bool:
        """Whether they can stand for the attention's layers."""
        return (
            has_standard_layers(attention)
            and attention.conv1.weight.dtype is torch.float32
            and not any(map(is_watched, attention.children()))
        )

    @staticmethod
    def weights(attention: AttentionLayers) -> Weights:
        layers = attention.conv1, attention.bn1, attention.conv_h, attention.conv_w
        return Weights(*(tensor for one in layers for tensor in (one.weight, one.bias)))

    def forward(
        self, x: Tensor, attention: AttentionLayers, weights: Weights, relu6: bool
    ) -> tuple[Tensor, Kept, Statistics]:
        """The gated map, what backward needs; with ``relu6``, ``x`` passes it first, in place."""
        statistics, momentum = _count_batch(attention.bn1)
        running, of_batch, eps = statistics
        out, *kept = self._forward(x, relu6, weights, running, of_batch, momentum, eps)
        return out, Kept(*kept), statistics

    def backward(
        self,
        g: Tensor,
        x: Tensor,
        weights: Weights,
        kept: Kept,
        statistics: Statistics,
        relu6: bool,
        grad_x: Tensor,
        gated: Tensor | None,
    ) -> list[Tensor]:
        """Gradients of the weights; fills ``grad_x``, which may be ``g``, and ``gated``."""
        again = [] if gated is None else [gated]
        return self._backward(g, x, relu6, kept, weights, *statistics, grad_x, again)
