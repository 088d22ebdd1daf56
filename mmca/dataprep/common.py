"""What the dataset modules share: the error, atomic files, the progress line, the VOC palette."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

T = TypeVar('T')


class PrepareError(Exception):
    """The dataset cannot be prepared; the message says what is wrong, where and what to do."""


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that it is either absent or whole, also after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + '.tmp')
    temporary.write_bytes(content)
    os.replace(temporary, path)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write text lines atomically."""
    write_atomic(path, ''.join(f'{line}\n' for line in lines).encode())


def read_lines(path: Path) -> list[str]:
    """First words of the non-empty lines of a list file such as ``ImageSets/*/*.txt``."""
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()]


def voc_palette() -> list[int]:
    """PASCAL VOC's palette as 768 numbers: the label's bits, spread over R, G and B from the top.

    Source: ``VOClabelcolormap.m`` of the VOC development kit; label 1 is (128, 0, 0).
    """
    labels = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((labels >> channel & 1) << (7 - bit)).astype(np.uint8)
        labels = labels >> 3
    return colours.flatten().tolist()


def palette_image(labels: np.ndarray) -> Image.Image:
    """An ``(H, W)`` uint8 label map as a PIL image in mode P with the VOC palette."""
    image = Image.fromarray(np.ascontiguousarray(labels, np.uint8))
    image.putpalette(voc_palette())
    return image


class Progress:
    """One line that is redrawn on a terminal; in a log, a new line every ten seconds.

    Args:
        label: What is being done.
        total: Number of steps, or of bytes with ``unit='B'``; None if unknown.
        unit: ``''`` for countable things, ``'B'`` for bytes.
    """

    def __init__(self, label: str, total: int | None, unit: str = '') -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self.terminal = sys.stdout.isatty()
        self.interval = 0.1 if self.terminal else 10.0
        self.shown = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None or self.terminal:
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


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield ``items`` while showing progress."""
    with Progress(label, len(items) if total is None else total) as progress:  # type: ignore
        for item in items:
            yield item
            progress.advance()


def copy_files(files: Sequence[Path], source: Path, root: Path) -> None:
    """Copy files below ``source`` to the same places below ``root``, where they are missing."""
    for path in track(files, f'copying {source}'):
        copy = root / path.relative_to(source)
        if not copy.exists():
            write_atomic(copy, path.read_bytes())
