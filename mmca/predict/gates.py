"""How much of each row and column of its map an attention lets through."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mmca.ops.layer import AttentionLayers
from mmca.ops.reference import gates, pools

_TINY = 1e-12


class Gates(NamedTuple):
    """Averages over the channels of what an attention multiplies its map by.

    Attributes:
        height (np.ndarray): (H,) of float32, one for each row of the map.
        width (np.ndarray): (W,) of float32, one for each column.
    """

    height: np.ndarray
    width: np.ndarray


def attention_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The attentions of a model in their order, by name: what has ``gate_layers``."""
    return {name: m for name, m in model.named_modules() if hasattr(m, 'gate_layers')}


@contextmanager
def maps_around(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Within, a forward pass puts each layer's (input, output) into the dict that is given."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(name: str):
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            seen[name] = inputs[0].detach(), output.detach()

        return hook

    hooks = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def gates_of(attention: nn.Module, x: Tensor, y: Tensor) -> Gates:
    """The gates of the first map of a batch.

    Those of coordinate attention are its own (CA paper, Eq. 7 and 8). Of another attention they
    are what it comes to along each axis: the sum over the row or column, and over the channels, of
    the magnitudes of the output over that of the input.

    Args:
        attention (nn.Module): An attention.
        x (Tensor): Its input, (N, C, H, W).
        y (Tensor): Its output, the same shape.
    """
    x, y = x[:1], y[:1]
    if isinstance(attention, AttentionLayers):
        expand_h = attention.expand_h if 'h' in attention.axes else None
        expand_w = attention.expand_w if 'w' in attention.axes else None
        with torch.inference_mode():
            found = gates(*pools(x), attention.squeeze, expand_h, expand_w)
        # The ablations have one gate; along the other axis nothing is held back.
        ones = torch.ones(1), torch.ones(1)
        g_h, g_w = (
            one.expand(size) if gate is None else gate.mean(dim=1).flatten()
            for gate, one, size in zip(found, ones, x.shape[2:], strict=True)
        )
        return Gates(_array(g_h), _array(g_w))
    into, out = x.abs().sum(dim=1)[0], y.abs().sum(dim=1)[0]
    return Gates(
        _array(out.sum(dim=1) / into.sum(dim=1).clamp_min(_TINY)),
        _array(out.sum(dim=0) / into.sum(dim=0).clamp_min(_TINY)),
    )


def _array(values: Tensor) -> np.ndarray:
    return values.detach().float().cpu().numpy()
