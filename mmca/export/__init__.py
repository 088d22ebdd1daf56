"""Trained networks in the formats of other runtimes: writing, proving and running them.

``tools/export.py`` writes; :func:`load_exported` runs what it wrote, without OpenMMLab's models.
"""

from .metadata import ExportMetadata
from .resizing import prepare
from .runtime import ExportedNetwork, load_exported

__all__ = ['ExportMetadata', 'ExportedNetwork', 'load_exported', 'prepare']
