"""A residual block's depthwise convolution, attention and projection, run as few operations.

What is fused:

- while training: the ReLU6 before the attention is done in the pass that pools, and the input of
  the 1x1 convolution after it is not kept for backward but made again;
- in inference: batch norm and ReLU6 before the attention, the attention, the 1x1 convolution and
  its batch norm are one operator, which overwrites the depthwise convolution's output.

The contract:

- A block declares its fusion from its own layers when it is built, and again whenever it is put
  into training or evaluation mode (``train()``, ``eval()``).
- Parameters, buffers and modes of the norms are read at each call: loaded or replaced weights,
  moved models, frozen norms, parametrizations and ``functional_call`` need nothing.
- A layer with a hook, with its ``forward`` replaced, or that is no longer the declared one (fused
  or synchronised batch norms, adapters, another attention) lets the block run layer by layer: every
  hook sees its map. A replaced layer counts as declared after the next ``train()`` or ``eval()``.
- Maps that are overwritten are the block's own; autograd is told.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmca.ops.attention import CoordinateAttentionLayer
from mmca.ops.autograd import attend, dense
from mmca.ops.cpp_kernels import CppKernels, FixedNorm, has_standard_layers, is_fixed
from mmca.ops.implementation import kernels_for

_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)


class Stage(NamedTuple):
    """A convolution, its batch norm, whether a ReLU6 follows, and the module that runs them all."""

    module: nn.Module
    conv: nn.Conv2d
    norm: nn.Module
    relu6: bool = False


class Fusion:
    """``after(attention(before(x)))`` in few operations, as long as the layers stay what they are.

    Args:
        block (nn.Module): The residual block whose layers these are.
        before (Stage): The depthwise convolution.
        attention (CoordinateAttentionLayer): The attention, with both axes.
        after (Stage | None): A 1x1 convolution without activation, if one follows.
    """

    def __init__(
        self,
        block: nn.Module,
        before: Stage,
        attention: CoordinateAttentionLayer,
        after: Stage | None,
    ) -> None:
        self.before, self.attention, self.after = before, attention, after
        self.is_standard = has_standard_layers(attention)
        owners = [block, attention, *(stage.module for stage in (before, after) if stage)]
        self.declared = [(owner._modules, dict(owner._modules)) for owner in owners]
        self.layers = [layer for owner in owners[1:] for layer in owner.modules()]
        self.hooks = [
            hooks
            for layer in self.layers
            for name, hooks in vars(layer).items()
            if name.endswith('_hooks') and ('_forward_' in name or '_backward_' in name)
        ]

    @classmethod
    def of(
        cls, block: nn.Module, attention: nn.Module, before: Stage, after: Stage | None = None
    ) -> 'Fusion | None':
        """The fusion of a block's layers; None if they are not of the kind."""
        if type(before.norm) not in _NORMS or not before.norm.affine:
            return None
        if after and (after.relu6 or after.conv.kernel_size != (1, 1) or after.conv.groups != 1):
            return None
        if not isinstance(attention, CoordinateAttentionLayer) or attention.axes != 'hw':
            return None
        return cls(block, before, attention, after)

    def holds(self) -> bool:
        """Whether the layers are those declared, and nobody watches them."""
        return (
            not any(self.hooks)
            and all(now == then for now, then in self.declared)
            and not any('forward' in vars(layer) for layer in self.layers)
        )

    def __call__(self, x: Tensor) -> Tensor | None:
        """What the layers make of the depthwise convolution's input; None: run them one by one."""
        kernels = kernels_for(x)
        if kernels is None or not self.holds():
            return None
        is_float32 = self.attention.conv1.weight.dtype is torch.float32
        if kernels.fuse_around and not (self.is_standard and is_float32):
            return None
        if not torch.is_grad_enabled():
            fixed = kernels.fuse_around and self._fixed_norms()
            return self._infer(x, kernels, *fixed) if fixed else None
        before, after = self.before, self.after
        relu6 = before.relu6 and kernels.fuse_around
        # Convolution and norm return what is nobody else's: it may be overwritten.
        x = before.norm(before.conv(x)) if relu6 else before.module(x)
        out = attend(self.attention, x, kernels, relu6, after and after.conv)
        return out if after is None else after.norm(out)

    def _fixed_norms(self) -> list[FixedNorm] | None:
        """The norms before and after the attention, if all are fixed and can be fused."""
        norms = [stage.norm for stage in (self.before, self.after) if stage]
        if any(type(norm) is not nn.BatchNorm2d or norm.weight is None for norm in norms):
            return None
        if not all(map(is_fixed, [*norms, self.attention.bn1])):
            return None
        fixed = [FixedNorm(n.running_mean, n.running_var, n.weight, n.bias) for n in norms]
        return None if any(norm.mean.dtype is not torch.float32 for norm in fixed) else fixed

    def _infer(self, x: Tensor, kernels: CppKernels, norm: FixedNorm, *last: FixedNorm) -> Tensor:
        before, after, inner = self.before, self.after, self.attention.bn1
        x = dense(before.conv(x))
        weights, running = kernels.weights(self.attention), (inner.running_mean, inner.running_var)
        arguments = x, norm, before.norm.eps, before.relu6, weights, running, inner.eps
        if after is None:
            kernels.infer_(*arguments)
            return x
        conv = [tensor for tensor in (after.conv.weight, after.conv.bias) if tensor is not None]
        return kernels.infer_projected(*arguments, conv, *last, after.norm.eps)
