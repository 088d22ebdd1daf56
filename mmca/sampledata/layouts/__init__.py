"""Writers of the sample: each turns drawn scenes into one dataset's folder layout.

A writer is ``write(settings, root)``. It may be called again on a folder where it was
interrupted, and leaves files that are already there alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..settings import SampleSettings
from . import coco, imagenet, voc2007, voc2012


class Layout(NamedTuple):
    """A layout; ``minimum`` is how many scenes each split needs to hold all 20 classes."""

    write: Callable[[SampleSettings, Path], None]
    minimum: int


LAYOUTS = {
    'voc2012': Layout(voc2012.write, minimum=7),
    'imagenet': Layout(imagenet.write, minimum=20),
    'coco': Layout(coco.write, minimum=7),
    'voc2007': Layout(voc2007.write, minimum=7),
}
