"""What one operator does of an attention and the layers around it, in inference.

For a single image, Python would take longer to look through a dozen layers than the kernels take to
run. So what was found is kept, and each time only what can have changed is compared.
"""

from itertools import repeat
from operator import is_
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from mmca.ops.neighbours import (
    Entry,
    Exit,
    are_all_hooked,
    attention_parameters,
    ends_in_relu6,
    has_fixed_norm,
    is_fixed,
    is_hooked,
    is_plain_projection,
)

_AFFINE = ('weight', 'bias')
_STATISTICS = ('running_mean', 'running_var')


class FixedBlock:
    """Batch norm and ReLU6, attention, 1x1 convolution and batch norm, the norms' statistics fixed.

    Args:
        attention (nn.Module): Layers ``conv1``, ``bn1``, ``act``, ``conv_h``, ``conv_w``, ``gate``.
        before (ConvModule): Ends in batch norm and ReLU6.
        after (ConvModule): 1x1 convolution and batch norm.
    """

    def __init__(self, attention: nn.Module, before: nn.Module, after: nn.Module) -> None:
        self.before, self.after = before, after
        # Grows with every hook that is registered, wherever that is.
        self.hooks = RemovableHandle.next_id
        self.parts = tuple(
            (owner._modules, tuple(owner._modules.values())) for owner in (attention, before, after)
        )
        modules = (attention, before, after, *(part for _, parts in self.parts for part in parts))
        self.owned = tuple(module.__dict__ for module in modules)
        layers, outer = attention._modules, after._modules
        norms = layers['bn1'], before._modules[before.norm_name], outer[after.norm_name]
        self.norms = tuple(norm.__dict__ for norm in norms)
        # The attention's parameters (8) and statistics (2), the norms before (4) and after it (4),
        # and the convolution.
        self.tensors = tuple(
            (owner, name)
            for owner, names in (
                (layers['conv1']._parameters, _AFFINE),
                (norms[0]._parameters, _AFFINE),
                (layers['conv_h']._parameters, _AFFINE),
                (layers['conv_w']._parameters, _AFFINE),
                (norms[0]._buffers, _STATISTICS),
                (norms[1]._buffers, _STATISTICS),
                (norms[1]._parameters, _AFFINE),
                (norms[2]._buffers, _STATISTICS),
                (norms[2]._parameters, _AFFINE),
                (outer['conv']._parameters, _AFFINE),
            )
            for name in names
        )

    def __reduce__(self) -> tuple:
        # A copy of the attention has other layers.
        return type(None), ()

    def arguments(self, before: nn.Module, after: nn.Module, dtype: torch.dtype) -> tuple | None:
        """Entry, parameters, statistics, epsilon and exit; None if it no longer is such a block."""
        if (
            self.hooks != RemovableHandle.next_id
            or before is not self.before
            or after is not self.after
        ):
            return None
        for modules, parts in self.parts:
            if tuple(modules.values()) != parts:
                return None
        for own in self.owned:
            if 'forward' in own:
                return None
        attention_norm, first, last = self.norms
        if attention_norm['training'] or first['training'] or last['training']:
            return None
        tensors = [owner.get(name) for owner, name in self.tensors]
        if tensors[-1] is None:  # the convolution's bias
            del tensors[-1]
        # A model is converted as a whole: one type tells.
        if any(map(is_, tensors, repeat(None))) or tensors[0].dtype is not dtype:
            return None
        entry = Entry(True, tensors[10:14], first['eps'])
        ending = Exit(tensors[18:], tensors[14:18], last['eps'])
        return entry, tensors[:8], tensors[8:10], attention_norm['eps'], ending


def fixed_block_arguments(
    attention: nn.Module, before: nn.Module, after: nn.Module, dtype: torch.dtype
) -> tuple | None:
    """What the kernels need after the map; None if the layers are no such block with parameters of
    this type.
    """
    known: FixedBlock | None = attention.__dict__.get('_fixed_block')
    found: Any = known and known.arguments(before, after, dtype)
    if found is not None:
        return found
    if (
        is_hooked(attention)
        or are_all_hooked()
        or attention_parameters(attention, dtype) is None
        or not is_fixed(attention._modules['bn1'])
        or not ends_in_relu6(before)
        or not has_fixed_norm(before, dtype)
        or not is_plain_projection(after)
        or not has_fixed_norm(after, dtype)
    ):
        return None
    attention.__dict__['_fixed_block'] = known = FixedBlock(attention, before, after)
    return known.arguments(before, after, dtype)
