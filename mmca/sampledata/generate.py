"""Writing a sample into a folder that is empty or holds the same sample."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

from mmca.errors import UserError
from mmca.files import partial_of, write_atomic

from .layouts import LAYOUTS
from .settings import SampleSettings

STATE_FILE = 'sample.json'


class SampleError(UserError):
    """The sample cannot be written there, or not so small."""


_README = """\
Synthetic sample data, drawn by mmca
====================================

These pictures are procedurally drawn. They are not photographs, and not a part of the dataset
whose folder layout they use ({layout}) or of PASCAL VOC, whose class names they borrow. Numbers
measured on them say nothing about those datasets.

layout      {layout}
difficulty  {difficulty}
seed        {seed}
scenes      {train} train, {val} val
size        {size} x {size} pixels

Made with:
    python tools/prepare_data.py sample --layout {layout} --difficulty {difficulty} \\
        --seed {seed} --train {train} --val {val} --size {size} --out {out}
"""


def generate(settings: SampleSettings, root: Path, layout: str = 'voc2012') -> bool:
    """Write the sample, or continue where an earlier call with the same settings stopped.

    Args:
        settings: What to draw.
        root: Folder to write to: new, empty, or a sample with the same settings.
        layout: Key of ``LAYOUTS``.

    Returns:
        Whether anything had to be written.

    Raises:
        SampleError: The folder holds something else, or the layout needs more scenes.
        ValueError: The layout is unknown.
    """
    if layout not in LAYOUTS:
        raise ValueError(f'layout must be one of {tuple(LAYOUTS)}, got {layout!r}')
    for split, count in settings.counts.items():
        if count < LAYOUTS[layout].minimum:
            raise SampleError(
                f'--{split} must be at least {LAYOUTS[layout].minimum} with --layout {layout}, '
                f'so that all 20 classes occur, got {count}'
            )
    expected = {'layout': layout, **settings.as_dict()}
    state = read_state(root)
    if state is None:
        leftover = {partial_of(root / STATE_FILE).name}
        if root.exists() and (not root.is_dir() or set(os.listdir(root)) - leftover):
            raise SampleError(
                f'{root} is not empty and holds no sample ({STATE_FILE} is missing); nothing was '
                'written. Give another folder with --out.'
            )
    elif state['settings'] != expected:
        differing = ', '.join(
            f'{key} is {state["settings"].get(key)}, not {value}'
            for key, value in expected.items()
            if state['settings'].get(key) != value
        )
        raise SampleError(
            f'{root} holds another sample ({differing}); nothing was written. Give another folder '
            'with --out, or remove this one.'
        )
    elif state['complete']:
        return False

    _write_state(root, expected, complete=False)
    write_atomic(
        root / 'README.txt', _README.format(**expected, out=shlex.quote(str(root))).encode()
    )
    LAYOUTS[layout].write(settings, root)
    _write_state(root, expected, complete=True)
    return True


def read_state(root: Path) -> dict | None:
    """Settings and completeness of the sample in a folder; None if there is no sample."""
    path = root / STATE_FILE
    if not path.is_file():
        return None
    try:
        state = json.loads(path.read_text())
        return {'settings': dict(state['settings']), 'complete': bool(state['complete'])}
    except (ValueError, KeyError, TypeError) as error:
        raise SampleError(f'{path} is unreadable ({error}); remove {root} and run again') from None


def _write_state(root: Path, settings: dict, complete: bool) -> None:
    content = json.dumps({'settings': settings, 'complete': complete}, indent=2)
    write_atomic(root / STATE_FILE, f'{content}\n'.encode())
