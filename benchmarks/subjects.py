"""What is measured: the block and MobileNetV2, in variants with the same weights."""

import contextlib
import copy
import importlib.metadata
from collections.abc import Callable
from typing import NamedTuple

import torch
from network import coordinate_attention
from torch import Tensor, nn
from torch.nn import functional as F

from mmca.ops.attention import CoordinateAttentionLayer
from mmca.ops.implementation import use_implementation

try:
    from mmca.models.backbones import MobileNetV2
except (ImportError, RuntimeError):  # without the OpenMMLab libraries
    from network import MobileNetV2

try:  # no dependency of mmca
    from timm.layers.coord_attn import CoordAttn
except ImportError:
    CoordAttn = None

NUM_CLASSES = 1000


class Variant(NamedTuple):
    """A module, and the context in which it runs."""

    module: nn.Module
    context: Callable = contextlib.nullcontext


class Classifier(nn.Module):
    """MobileNetV2 with a linear classifier: (N, 3, H, W) to (N, 1000)."""

    def __init__(self, attention: dict | None) -> None:
        super().__init__()
        self.backbone = MobileNetV2(attention=attention)
        self.linear = nn.Linear(1280, NUM_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        [features] = self.backbone(x)
        return self.linear(F.adaptive_avg_pool2d(features, 1).flatten(1))


def timm_version() -> str | None:
    """Version of a timm that has the block, None without."""
    return None if CoordAttn is None else importlib.metadata.version('timm')


def timm_block(block: CoordinateAttentionLayer) -> nn.Module:
    """timm's block with the sizes and the weights of ours."""
    conv = block.conv1
    replacement = CoordAttn(conv.in_channels, rd_channels=conv.out_channels, bias=True)
    replacement.load_state_dict(block.state_dict())
    return replacement.to(conv.weight.device)


def block_variants(channels: int, device: str) -> dict[str, Variant]:
    """The block at reduction 32 by variant: ``plain`` (the expression), ``timm``, ``mmca``."""
    block = coordinate_attention(channels).to(device)
    variants = {'plain': Variant(copy.deepcopy(block), lambda: use_implementation('plain'))}
    if CoordAttn is not None:
        variants['timm'] = Variant(timm_block(block))
    variants['mmca'] = Variant(block)
    return variants


def network_variants(device: str) -> dict[str, Variant]:
    """The network by variant: ``none`` is without attention, the others as of the block."""
    network = Classifier(dict(type='mmca.CoordinateAttention', reduction=32)).to(device)
    variants = {
        'none': Variant(Classifier(None).to(device)),
        'plain': Variant(copy.deepcopy(network), lambda: use_implementation('plain')),
    }
    if CoordAttn is not None:
        variants['timm'] = Variant(copy.deepcopy(network))
        for module in list(variants['timm'].module.modules()):
            if isinstance(getattr(module, 'attention', None), CoordinateAttentionLayer):
                module.attention = timm_block(module.attention)
    variants['mmca'] = Variant(network)
    return variants


def attention_elements(image_size: int) -> int:
    """Elements of all maps that pass an attention, for one image."""
    elements = 0

    def add(module: nn.Module, args: tuple[Tensor]) -> None:
        nonlocal elements
        elements += args[0].numel()

    network = Classifier(dict(type='mmca.CoordinateAttention')).to('meta').eval()
    for module in network.modules():
        if isinstance(module, CoordinateAttentionLayer):
            module.register_forward_pre_hook(add)
    with use_implementation('plain'), torch.no_grad():
        network(torch.empty(1, 3, image_size, image_size, device='meta'))
    return elements
