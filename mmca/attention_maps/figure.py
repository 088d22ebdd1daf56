"""Attention maps drawn as the CA paper draws its Figure 5, a row for each network."""

import io
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from mmca.predict.gate_plot import plot_gates

from .maps import AttentionMaps

matplotlib.use('Agg')
_COLUMNS = 'before', 'after', 'Grad-CAM before', 'Grad-CAM after'
_SIDE = 2.4  # inches of a picture's longer side


def draw_attention(maps: Mapping[str, AttentionMaps], class_name: str) -> bytes:
    """Draw what attentions make of one picture.

    Rows are networks; columns the magnitude of the feature map before and after the attention, each
    between its own extremes, and Grad-CAM of both over the picture. Beside them are the gates.

    Args:
        maps (Mapping[str, AttentionMaps]): By name of the network.
        class_name (str): The class that Grad-CAM is of.

    Returns:
        bytes: A PNG.
    """
    pictures = [np.ascontiguousarray(one.picture[:, :, ::-1]) for one in maps.values()]
    height, width = pictures[0].shape[:2]
    factor = _SIDE / max(height, width)
    size = width * factor, height * factor
    panel = 1.5 * size[0] + 0.8, 1.5 * size[1] + 1 + 0.2 * len(maps)
    across = len(_COLUMNS) * (size[0] + 0.1) + 0.4
    high = max(len(maps) * (size[1] + 0.3) + 0.3, panel[1])
    figure = Figure(figsize=(across + panel[0], high), layout='constrained')
    left, right = figure.subfigures(1, 2, width_ratios=[across, panel[0]])
    if high > panel[1]:
        right, _ = right.subfigures(2, 1, height_ratios=[panel[1], high - panel[1]])
    rows = left.subplots(len(maps), len(_COLUMNS), squeeze=False)
    left.suptitle(f'Feature maps around the attention; Grad-CAM of "{class_name}"', fontsize=10)
    for row, (name, one), picture in zip(rows, maps.items(), pictures, strict=True):
        extent = dict(extent=(0, picture.shape[1], picture.shape[0], 0))
        row[0].imshow(one.before, **extent)
        row[1].imshow(one.after, **extent)
        for axes, cam in zip(row[2:], (one.cam_before, one.cam_after), strict=True):
            axes.imshow(picture)
            axes.imshow(cam, cmap='jet', vmin=0, vmax=1, alpha=0.5)
        for axes, title in zip(row, _COLUMNS, strict=True):
            axes.set(xticks=[], yticks=[])
            axes.set_title(title, fontsize=8)
        row[0].set_ylabel(name.replace(' (', '\n('), fontsize=8)
    plot_gates(right, pictures[0], {name: one.gates for name, one in maps.items()})
    content = io.BytesIO()
    figure.savefig(content, format='png', dpi=120)
    return content.getvalue()
