"""Heads for mmpretrain. A config that uses one imports this module in ``custom_imports``."""

from .linear_cls_head import LinearClsHead

__all__ = ['LinearClsHead']
