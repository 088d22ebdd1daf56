"""The gates of attentions beside a picture."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from .gates import Gates

# Of the plots, beside a picture 5 wide.
_PLOT = 1.6


def plot_gates(figure: Any, picture: np.ndarray, gates: Mapping[str, Gates]) -> None:
    """Plot gates along the height to the right of a picture, those along the width below.

    Args:
        figure (matplotlib.figure.FigureBase): Where to plot.
        picture (np.ndarray): (H, W, 3), RGB; stretched to its axes.
        gates (Mapping[str, Gates]): By the name in the legend.
    """
    ratios = dict(
        width_ratios=[5, _PLOT], height_ratios=[5 * picture.shape[0] / picture.shape[1], _PLOT]
    )
    [[middle, right], [below, corner]] = figure.subplots(2, 2, gridspec_kw=ratios)
    middle.imshow(picture, aspect='auto')
    middle.set(xticks=[], yticks=[])
    for name, found in gates.items():
        rows, columns = len(found.height), len(found.width)
        [line] = right.plot(found.height, (np.arange(rows) + 0.5) / rows, label=name)
        below.plot((np.arange(columns) + 0.5) / columns, found.width, color=line.get_color())
    right.set(ylim=(1, 0), yticks=[])
    right.set_xlabel('gate along\nthe height', fontsize=8)
    below.set(xlim=(0, 1), xticks=[])
    below.set_ylabel('gate along\nthe width', fontsize=8)
    for axes, scale in ((right, right.xaxis), (below, below.yaxis)):
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=8)
        scale.set_major_locator(MaxNLocator(3))
        scale.get_major_formatter().set_useOffset(False)
    right.tick_params(axis='x', rotation=90)
    corner.axis('off')
    if gates:
        lines = right.get_legend_handles_labels()
        figure.legend(*lines, fontsize=8, loc='outside lower left')
