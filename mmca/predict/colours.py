import colorsys
from collections.abc import Sequence
from typing import Any

_GOLDEN = 0.618034  # neighbours get hues far apart


def complete_palette(palette: Any, count: int) -> tuple[tuple[int, int, int], ...]:
    """RGB of each class: those of a dataset's palette, and own ones for classes it has none for.

    Args:
        palette (Any): A list of RGB triples; anything else, as mmdet's ``'random'``, is none.
        count (int): Classes.
    """
    given = palette if isinstance(palette, Sequence) and not isinstance(palette, str) else ()
    own = [colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.75, 0.95) for index in range(count)]
    colours = [tuple(int(value) for value in colour) for colour in given[:count]]
    return (*colours, *(tuple(round(255 * v) for v in colour) for colour in own[len(colours) :]))
