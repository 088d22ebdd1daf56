"""The function of coordinate attention (Hou et al., CVPR 2021, Sec. 3.2): all else here equals it.

Its learned maps are functions of tensors: F_1 with norm and nonlinearity, F_h and F_w with their
sigmoids. It exports with free H and W, too: the means have no size in their arguments.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]


def pools(x: Tensor) -> tuple[Tensor, Tensor]:
    """The two one-dimensional poolings of a map (N, C, H, W)."""
    z_h = x.mean(dim=3, keepdim=True)  # (N, C, H, 1)  Eq. 4
    z_w = x.mean(dim=2, keepdim=True)  # (N, C, 1, W)  Eq. 5
    return z_h, z_w


def gates(
    z_h: Tensor, z_w: Tensor, squeeze: Map, expand_h: Map | None, expand_w: Map | None
) -> tuple[Tensor | None, Tensor | None]:
    """The gates of both pools; of one, if the other's ``expand`` is None (the paper's ablation).

    Args:
        z_h (Tensor): (N, C, H, 1).
        z_w (Tensor): (N, C, 1, W).
        squeeze (Map): (N, C, L, 1) to (N, M, L, 1).
        expand_h (Map | None): (N, M, H, 1) to (N, C, H, 1).
        expand_w (Map | None): (N, M, 1, W) to (N, C, 1, W).
    """
    both = [z_h] * (expand_h is not None) + [z_w.transpose(2, 3)] * (expand_w is not None)
    f = squeeze(torch.cat(both, dim=2))  # (N, M, H + W, 1)  Eq. 6
    parts = list(f.split([z.shape[2] for z in both], dim=2))  # (N, M, H, 1), (N, M, W, 1)
    g_h = None if expand_h is None else expand_h(parts[0])  # (N, C, H, 1)  Eq. 7
    g_w = None if expand_w is None else expand_w(parts[-1].transpose(2, 3))  # (N, C, 1, W)  Eq. 8
    return g_h, g_w


def coordinate_attention(
    x: Tensor, squeeze: Map, expand_h: Map | None, expand_w: Map | None
) -> Tensor:
    """``y = x * g_w * g_h``; arguments as those of :func:`gates`.

    Shape:
        x: (N, C, H, W), any H, W >= 1; the output the same.
    """
    g_h, g_w = gates(*pools(x), squeeze, expand_h, expand_w)
    y = x if g_w is None else x * g_w  # (N, C, H, W)
    return y if g_h is None else y * g_h  # (N, C, H, W)  Eq. 9
