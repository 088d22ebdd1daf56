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
_LAYERS = {
    'conv1': nn.Conv2d,
    'bn1': nn.BatchNorm2d,
    'act': nn.Hardswish,
    'conv_h': nn.Conv2d,
    'conv_w': nn.Conv2d,
    'gate': nn.Sigmoid,
}


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


def attention_parameters(attention: nn.Module, dtype: torch.dtype) -> list[Tensor] | None:
    """In the kernels' order; None if they cannot stand for the layers, which then run as such."""
    layers = attention._modules
    for name, cls in _LAYERS.items():
        layer = layers[name]
        if type(layer) is not cls or is_hooked(layer):
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


def is_fixed(norm: nn.BatchNorm2d) -> bool:
    return not norm.training and norm._buffers['running_mean'] is not None


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


def has_fixed_norm(layer: ConvModule, dtype: torch.dtype) -> bool:
    """Whether ``layer``, which has a norm, has a batch norm that only scales and shifts, and is no
    more than its convolution, that norm and its activation.
    """
    norm = layer._modules[layer.norm_name]
    if type(norm) is not nn.BatchNorm2d or norm.training or is_hooked(norm):
        return False
    tensors = [norm._buffers[name] for name in ('running_mean', 'running_var')]
    tensors += [norm._parameters.get(name) for name in ('weight', 'bias')]
    return (
        all(tensor is not None and tensor.dtype is dtype for tensor in tensors)
        and not layer.with_explicit_padding
        and getattr(layer, 'efficient_conv_bn_eval_forward', None) is None
    )


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
