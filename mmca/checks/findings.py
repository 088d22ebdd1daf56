"""What checking box annotations finds: problems, and counts of the boxes."""

from __future__ import annotations

import reprlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

CROWD, FLAT, TINY, OUTSIDE = (
    'crowd',
    'without area',
    'smaller than a pixel',
    'reaching outside their image',
)
DIFFICULT = 'difficult'
#: Boxes that a training can learn from, and an evaluation measure.
USABLE = 'usable'
NUMBERS = frozenset((int, float))
LARGEST = 1e9  # pixels; the square is far from float32's largest


class Checked(NamedTuple):
    """Result of a check.

    Attributes:
        problems: One line per problem: the file, the entry in it, what is wrong, what to do.
        counts: How many ``'images'``, ``'boxes'`` and ``'images without objects'`` there are, and
            how many of the boxes are special, see `describe`.
        images: Ids of the images, as text.
    """

    problems: list[str]
    counts: Counter[str]
    images: frozenset[str] = frozenset()


class Problems:
    """Lines by their kind: a reader of the first ten sees ten kinds rather than one ten times."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, line: str) -> None:
        """Add a line; it comes after as many lines of each other kind as its own has."""
        self._lines[kind].append(line)

    def lines(self) -> list[str]:
        """All lines, the first of each kind first."""
        return interleave(self._lines.values())


def interleave(lists: Iterable[Sequence[str]]) -> list[str]:
    """The first lines of all lists, then the second ones, and so on."""
    return [line for row in zip_longest(*lists) for line in row if line is not None]


def describe(counts: Mapping[str, int]) -> str:
    """The boxes in words, such as ``'9 boxes (2 without area), 1 images without objects'``."""
    special = [
        f'{counts[kind]} {kind}' for kind in (CROWD, FLAT, TINY, OUTSIDE) if counts.get(kind)
    ]
    text = f'{counts["boxes"]} boxes' + (f' ({", ".join(special)})' if special else '')
    bare = counts['images without objects']
    return f'{text}, {bare} images without objects' if bare else text


def some(values: Sequence[object], shown: int = 5) -> str:
    """The first few values, separated by commas, and how many more there are."""
    text = ', '.join(str(value) for value in values[:shown])
    return f'{text} and {len(values) - shown} more' if len(values) > shown else text


def short(value: object) -> str:
    """An unexpected value, as short as a message wants it."""
    return reprlib.repr(value)


def is_number(value: object, largest: float = LARGEST) -> bool:
    """Whether a value can be a number of pixels."""
    # Not isinstance: bool is an int. NaN fails the comparison.
    return type(value) in NUMBERS and -largest <= value <= largest
