"""Inserting an attention into a trained plain network, and removing one, without changing what it
computes.

An inserted gate starts as a constant: the last layer before its sigmoid has weight 0. The inverse
of the constant goes into the linear layer next to the attention, so the network's outputs stay the
same, in training mode, too. The gate moves with the first optimiser step, its other layers with
the second.
"""

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmca.checkpoint import CheckpointError, attention_of, require_match
from mmca.models.backbones.residual_block import ResidualBlock

# Where the sigmoid of an inserted gate starts: at a half, of which the product and the inverse are
# exact, and gates move most. docs/pretrained.md has what speaks against it, and what is measured.
GATE_BIAS = 0.0


class _Place(NamedTuple):
    """An attention and the weights beside it that take the inverse of its gates.

    Args:
        name (str): Of the attention, in the model.
        attention (nn.Module): Itself.
        scaled (dict[str, int]): The dimension of each of these weights that is the attention's
            channels.
    """

    name: str
    attention: nn.Module
    scaled: dict[str, int]


def insert_attention(
    state: Mapping[str, Tensor],
    model: nn.Module,
    bias: float = GATE_BIAS,
    source: str = 'The state dict',
) -> dict[str, Tensor]:
    """Weights with which a network with attention computes what a plain one does.

    Args:
        state (Mapping[str, Tensor]): Weights of the plain network, under our names: all of
            ``model`` but its attentions.
        model (nn.Module): A backbone of ours, e.g. ``mmca.MobileNetV2``, with an attention, or one
            with such a part; it is not changed. What an inserted attention has beside the last
            layer of its gates is taken from it.
        bias (float): What the sigmoid of each gate starts with.
        source (str): What error messages call ``state``.

    Returns:
        dict[str, Tensor]: All tensors of ``model``. Half-precision weights that take the inverse
        become float32.

    Raises:
        CheckpointError: If ``state`` has an attention already or does not fit, or if ``model``
            has no attention, or one elsewhere than in the blocks of these backbones.
    """
    places = _places(model)
    if (found := attention_of(state)) != 'no attention':
        raise CheckpointError(
            f'{source} has {found} already, and an attention is inserted into a plain network '
            'only. Load it into a model with that attention, without inserting'
        )
    # A checkpoint is read to the CPU; the model may be on a GPU already.
    own = {key: value.cpu() for key, value in model.state_dict().items()}
    state = {key: value.cpu() for key, value in state.items()}
    fresh = {
        key: value
        for key, value in own.items()
        if any(key.startswith(f'{place.name}.') for place in places)
    }
    weights = {**state, **fresh}
    require_match(
        weights, model, source, 'Give plain weights of the same network and width, in our names.'
    )
    for name, attention, scaled in places:
        for layer, count in attention.gate_layers().items():
            key = f'{name}.{layer}'
            weights[f'{key}.weight'] = torch.zeros_like(own[f'{key}.weight'])
            weights[f'{key}.bias'] = torch.full_like(own[f'{key}.bias'], bias / count)
        _scale(weights, scaled, 1 / _constant(weights, name, attention))
    return {key: weights[key] for key in own}


def remove_attention(
    state: Mapping[str, Tensor], model: nn.Module, source: str = 'The state dict'
) -> dict[str, Tensor]:
    """Weights with which the plain network computes what one with constant gates does.

    Args:
        state (Mapping[str, Tensor]): All weights of ``model``.
        model (nn.Module): The network with attention; it is not changed.
        source (str): What error messages call ``state``.

    Returns:
        dict[str, Tensor]: Those of the network without attention.

    Raises:
        CheckpointError: If ``state`` does not fit ``model``, if ``model`` has no attention, or one
            elsewhere than in the blocks of our backbones, or if a gate depends on the image:
            then no plain network computes the same.
    """
    places = _places(model)
    require_match(state, model, source, 'Give weights of this network, in our names.')
    trained = [
        f'{name}.{layer}.weight'
        for name, attention, _ in places
        for layer in attention.gate_layers()
        if state[f'{name}.{layer}.weight'].any()
    ]
    if trained:
        raise CheckpointError(
            f'{source}: its attention cannot be removed, since its gates depend on the image: '
            f'{trained[0]} and {len(trained) - 1} others are not 0, and no plain network computes '
            'the same. What was inserted and never trained can be removed'
        )
    weights = dict(state)
    for name, attention, scaled in places:
        _scale(weights, scaled, _constant(weights, name, attention))
        weights = {k: v for k, v in weights.items() if not k.startswith(f'{name}.')}
    return weights


def _places(model: nn.Module) -> list[_Place]:
    """All attentions of a model that can be inserted or removed; at least one."""
    modules = dict(model.named_modules())
    places = [
        _place(f'{name}.' if name else '', block)
        for name, block in modules.items()
        if isinstance(block, ResidualBlock) and not isinstance(block.attention, nn.Identity)
    ]
    inside = {place.name for place in places}
    for name, module in modules.items():
        if hasattr(module, 'gate_layers') and name not in inside:
            raise CheckpointError(
                f'{name or "the model"}: this {type(module).__name__} cannot be inserted or '
                'removed without changing the network: no linear layer that could take the '
                'inverse of its gates is known to follow. That is so in the blocks of '
                'mmca.MobileNetV2 and our other backbones only'
            )
    if not places:
        raise CheckpointError(
            f'{type(model).__name__} has no attention that could be inserted or removed; give '
            "its backbone one, e.g. attention=dict(type='mmca.CoordinateAttention', reduction=32)"
        )
    return places


def _place(prefix: str, block: ResidualBlock) -> _Place:
    name = f'{prefix}attention'
    if not hasattr(block.attention, 'gate_layers'):
        raise CheckpointError(
            f'{name}: {type(block.attention).__name__} does not say which layers its gates are '
            'made of (gate_layers), so it can neither be inserted nor removed'
        )
    names = {layer: f'{prefix}{child}' for child, layer in block.named_children()}
    if not block.around_attention():
        raise CheckpointError(
            f'{name} stands inside a layer, before its norm, where it can neither be inserted nor '
            'removed: give its backbone another attention_position'
        )
    before, *after = block.around_attention()
    if after:
        # A 1x1 convolution without activation: its inputs are the attention's outputs.
        return _Place(name, block.attention, {f'{names[after[0]]}.conv.weight': 1})
    # Nothing linear follows, but batch norm is the last before the attention.
    if not isinstance(before, ConvModule) or not before.with_norm or before.with_activation:
        raise CheckpointError(
            f'{name}: neither a linear layer follows it, nor is a norm right before it, which '
            'could take the inverse of its gates'
        )
    norm = f'{names[before]}.{before.norm_name}'
    return _Place(name, block.attention, {f'{norm}.weight': 0, f'{norm}.bias': 0})


def _constant(weights: Mapping[str, Tensor], name: str, attention: nn.Module) -> Tensor:
    """The product of the gates, (C,) or (1,), where the weights before them are 0."""
    return prod(
        attention.gate(count * weights[f'{name}.{layer}.bias'].double())
        for layer, count in attention.gate_layers().items()
    )


def _scale(weights: dict[str, Tensor], scaled: dict[str, int], factor: Tensor) -> None:
    """Multiply weights along the dimension that has the attention's channels."""
    for key, dim in scaled.items():
        value = weights[key]
        shape = [-1 if i == dim else 1 for i in range(value.ndim)]
        dtype = torch.promote_types(value.dtype, torch.float32)
        weights[key] = (value.double() * factor.view(shape)).to(dtype)
