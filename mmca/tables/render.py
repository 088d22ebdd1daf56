"""Tables as text and as markdown; all are lists of lines of cells, the header first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .rows import Row

if TYPE_CHECKING:
    from mmca.complexity import Complexity

Lines = Sequence[Sequence[str]]


def figures(row: Row | None, counts: 'Complexity | None', ours: str = '') -> list[str]:
    """Six cells, empty where nothing is known.

    Parameters (in millions) published and computed, multiply-adds (in millions) the same, then
    the metric (in percent) published and ours.
    """
    published = (row.parameters, row.multiply_adds, row.value) if row else (None, None, None)
    parameters, multiply_adds, value = ('' if x is None else str(x) for x in published)
    computed = ('', '')
    if counts:
        computed = f'{counts.parameters / 1e6:.3f}', f'{counts.multiply_adds / 1e6:.1f}'
    return [parameters, computed[0], multiply_adds, computed[1], value, ours]


def filled_columns(lines: Lines, keep: Sequence[int] = ()) -> Lines:
    """Without the columns in which nothing stands below the header, but for those to keep."""
    header, *rows = lines
    shown = [i for i, _ in enumerate(header) if i in keep or any(row[i] for row in rows)]
    return [[line[i] for i in shown] for line in lines]


def _aligned(lines: Lines) -> Lines:
    widths = [max(map(len, column)) for column in zip(*lines)]
    return [
        [line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:]))]
        for line in lines
    ]


def text_table(lines: Lines) -> str:
    """Columns of equal width: names to the left, numbers to the right."""
    return '\n'.join('  '.join(line) for line in _aligned(lines))


def markdown_table(lines: Lines, left: int = 1, aligned: bool = False) -> str:
    """A markdown table.

    Args:
        lines (Lines): Header and rows.
        left (int): How many columns, from the first, are flush left; the others are flush right.
        aligned (bool): Columns of equal width in the source, too.
    """
    if aligned:
        lines = _aligned(lines)
    header, *rows = lines
    widths = map(len, header) if aligned else [3] * left + [4] * (len(header) - left)
    rule = ['-' * w if i < left else '-' * (w - 1) + ':' for i, w in enumerate(widths)]
    return '\n'.join(f'| {" | ".join(line)} |' for line in [header, rule, *rows])
