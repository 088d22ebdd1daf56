"""What the kernels may take over from the layers around an attention.

Nothing may watch a map that would then not exist: every layer in question must be the plain class,
without hooks of the user's.
"""

from typing import NamedTuple

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn.modules import module as nn_module

_ORDER = ('conv', 'norm', 'act')


class Entry(NamedTuple):
    """What happens to the map, in place, before the attention.

    Attributes:
        clamp (bool): ReLU6.
        norm (list[Tensor]): Before that, batch norm with fixed statistics: mean, variance, weight
            and bias; or nothing.
        epsilon (float): Of that batch norm.
    """

    clamp: bool = False
    norm: list[Tensor] = []
    epsilon: float = 0.0


NOTHING = Entry()


class Exit(NamedTuple):
    """What happens to the map after the attention, in inference.

    Attributes:
        projection (list[Tensor]): 1x1 convolution: weight, or weight and bias.
        norm (list[Tensor]): After that, batch norm with fixed statistics, as in :class:`Entry`.
        epsilon (float): Of that batch norm.
    """

    projection: list[Tensor]
    norm: list[Tensor]
    epsilon: float


def is_hooked(module: nn.Module) -> bool:
    """Whether something of the user's sees what goes into the module or comes out of it."""
    # Attributes of a module that are read as such take several times as long.
    own = module.__dict__
    return bool(
        own['_forward_hooks']
        or own['_forward_pre_hooks']
        or own['_backward_hooks']
        or own['_backward_pre_hooks']
        or 'forward' in own
    )


def are_all_hooked() -> bool:
    """Whether there are hooks for every module."""
    return bool(
        nn_module._global_forward_hooks
        or nn_module._global_forward_pre_hooks
        or nn_module._global_backward_hooks
        or nn_module._global_backward_pre_hooks
    )


def ends_in_relu6(layer: nn.Module) -> bool:
    """Whether ``layer`` is a convolution with batch norm and a ReLU6 that kernels may do.

    What a convolution or a batch norm returns is new, and the latter's backward does not need it:
    it may be overwritten.
    """
    if type(layer) is not ConvModule or layer.order != _ORDER or not layer.with_activation:
        return False
    layers = layer._modules
    norm = layers.get(layer.norm_name) if layer.with_norm else None
    return (
        type(layers['activate']) is nn.ReLU6
        and type(norm) in (nn.BatchNorm2d, nn.SyncBatchNorm)
        and isinstance(layers['conv'], nn.Conv2d)
        and not any(map(is_hooked, (layer, layers['conv'], norm, layers['activate'])))
    )


def _fixed_norm(layer: ConvModule, dtype: torch.dtype) -> tuple[list[Tensor], float] | None:
    """The layer's batch norm, if that only scales and shifts."""
    norm = layer._modules[layer.norm_name]
    if type(norm) is not nn.BatchNorm2d or norm.training or is_hooked(norm):
        return None
    buffers, parameters = norm._buffers, norm._parameters
    tensors = [
        buffers['running_mean'],
        buffers['running_var'],
        parameters['weight'],
        parameters['bias'],
    ]
    if any(tensor is None or tensor.dtype is not dtype for tensor in tensors):
        return None
    return tensors, norm.eps


def fixed_entry(layer: ConvModule, dtype: torch.dtype) -> Entry | None:
    """Batch norm and ReLU6 of a layer that ends in these, if that norm only scales and shifts."""
    if (
        layer.with_explicit_padding
        or getattr(layer, 'efficient_conv_bn_eval_forward', None) is not None
    ):
        return None
    fixed = _fixed_norm(layer, dtype)
    return None if fixed is None else Entry(True, *fixed)


def fixed_exit(layer: ConvModule, dtype: torch.dtype) -> Exit | None:
    """A plain projection, if its norm is a batch norm that only scales and shifts."""
    fixed = _fixed_norm(layer, dtype)
    if fixed is None:
        return None
    weights = layer._modules['conv']._parameters.values()
    return Exit([weight for weight in weights if weight is not None], *fixed)


def is_plain_projection(layer: nn.Module) -> bool:
    """Whether ``layer`` is a 1x1 convolution with a norm and nothing else."""
    if type(layer) is not ConvModule or layer.order != _ORDER:
        return False
    conv = layer._modules['conv']
    return (
        type(conv) is nn.Conv2d
        and conv.kernel_size == conv.stride == (1, 1)
        and conv.groups == 1
        and conv.padding in ((0, 0), 'valid')
        and layer.with_norm
        and not layer.with_activation
        and not layer.with_explicit_padding
        and getattr(layer, 'efficient_conv_bn_eval_forward', None) is None
        and not is_hooked(layer)
        and not is_hooked(conv)
    )
