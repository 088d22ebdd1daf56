"""How a publisher names the modules of a network, as pairs of their name and ours."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from mmca.models.backbones.residual_block import ResidualBlock
from mmca.models.backbones.staged_backbone import StagedBackbone

Pairs = tuple[tuple[str, str], ...]

# The attention that EfficientNet and MnasNet are published with.
SE = dict(type='mmca.SqueezeExcitation', reduction=24)


@dataclass(frozen=True)
class Scheme:
    """One table of names that serves both directions.

    Args:
        name (str): Short name, as in ``--to`` and in the meta data of a converted file.
        title (str): What messages call it.
        architecture (type): Our backbone.
        pairs (Pairs): Their and our name of each module. What is below a module, its
            parameters and buffers, has the same name on both sides.
        attention (dict | None): The one attention that the network always has.
        note (str): What our network needs to compute the same, beside the weights.
    """

    name: str
    title: str
    architecture: type[StagedBackbone]
    pairs: Pairs
    attention: dict | None = None
    note: str = ''

    def to_ours(self, key: str) -> str | None:
        """Our name of their tensor; None if the table does not have it."""
        return _translate(key, dict(self.pairs))

    def from_ours(self, key: str) -> str | None:
        """Their name of our tensor; None if the table does not have it."""
        return _translate(key, {ours: theirs for theirs, ours in self.pairs})

    def coverage(self, keys: Iterable[str]) -> float:
        """Share of the plain backbone's weights that are among their ``keys``."""
        table = dict(self.pairs)
        expected = _plain_weights(self.architecture)
        return len(expected & {_translate(key, table) for key in keys}) / len(expected)


def _translate(key: str, table: dict[str, str]) -> str | None:
    owner = key
    while owner:
        owner = owner.rpartition('.')[0]
        if owner in table:
            return table[owner] + key[len(owner) :]
    return None


@functools.cache
def _plain_weights(architecture: type[StagedBackbone]) -> frozenset[str]:
    keys = build(architecture).state_dict()
    return frozenset(f'backbone.{key}' for key in keys if key.endswith('.weight'))


def build(architecture: type[StagedBackbone], **options: object) -> StagedBackbone:
    """A backbone without memory for its weights; with the 1280-channel layer."""
    with torch.device('meta'):
        return architecture(**options)


def blocks(backbone: StagedBackbone) -> list[tuple[str, nn.Module]]:
    """Its residual blocks in order, with their names in a model."""
    return [
        (f'backbone.{name}', module)
        for name, module in backbone.named_modules()
        if isinstance(module, ResidualBlock)
    ]


def squeeze_excitation(reduce: str, expand: str, ours: str) -> Pairs:
    """The pairs of our squeeze-excitation's two convolutions."""
    return (reduce, f'{ours}.conv_reduce'), (expand, f'{ours}.conv_expand')


def conv_and_norm(conv: str, norm: str, ours: str) -> Pairs:
    """The pairs of one of our ConvModules."""
    return (conv, f'{ours}.conv'), (norm, f'{ours}.bn')
