"""Writers of the sample: each turns the same scenes into one dataset's folder layout.

A writer is ``write(settings, root)``. It may be called again on a folder where it was
interrupted, and leaves files that are already there alone.
"""

from __future__ import annotations

from collections.abc import Callable

from . import voc2012

LAYOUTS: dict[str, Callable] = {'voc2012': voc2012.write}
