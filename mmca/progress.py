"""Showing how far a long piece of work has come."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar('T')


class Progress:
    """One line that is redrawn on a terminal; in a log, a new line every ten seconds.

    Args:
        label: What is being done.
        total: Number of steps, or of bytes with ``unit='B'``; None if unknown.
        unit: ``''`` for countable things, ``'B'`` for bytes.
        silent: Seconds for which nothing is shown; work that is shorter shows nothing.
    """

    def __init__(self, label: str, total: int | None, unit: str = '', silent: float = 0) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self.terminal = sys.stdout.isatty()
        self.interval = 0.1 if self.terminal else 10.0
        self.begin = time.monotonic() + silent
        self.shown = time.monotonic() + max(0.0, silent - self.interval)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if time.monotonic() >= self.begin and (exception[0] is None or self.terminal):
            self._show(end='\n')

    def advance(self, steps: int = 1) -> None:
        """Count ``steps`` more."""
        self.done += steps
        now = time.monotonic()
        if now - self.shown >= self.interval:
            self.shown = now
            self._show(end='' if self.terminal else '\n')

    def _show(self, end: str) -> None:
        scale, unit = (1e6, ' MB') if self.unit == 'B' else (1, '')
        text = f'{self.label}: {self.done / scale:.0f}'
        if self.total:
            text += f'/{self.total / scale:.0f}{unit} ({100 * self.done / self.total:.0f}%)'
        else:
            text += unit
        print(f'\r{text}' if self.terminal else text, end=end, flush=True)


def track(
    items: Iterable[T], label: str, total: int | None = None, silent: float = 0
) -> Iterator[T]:
    """Yield ``items`` while showing progress; options as of :class:`Progress`."""
    with Progress(label, len(items) if total is None else total, silent=silent) as progress:  # type: ignore
        for item in items:
            yield item
            progress.advance()
