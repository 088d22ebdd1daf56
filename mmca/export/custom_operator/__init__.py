"""Coordinate attention as one operator of ONNX Runtime, in files that ``--custom-operator`` wrote.

It is compiled on the machine that runs the file, once. The file holds the operator in rows;
ONNX Runtime's convolutions keep their maps in blocks of channels, and :mod:`.blocked` lets it
work on these as they are.
"""

from .blocked import DOMAIN, open_session
from .library import build

__all__ = ['DOMAIN', 'build', 'is_used', 'open_session']

# The node's operator as a file spells it: field 4, of 19 bytes.
_SPELLED = b'\x22\x13CoordinateAttention'


def is_used(content: bytes) -> bool:
    """Whether an ONNX file has the operator."""
    return _SPELLED in content
