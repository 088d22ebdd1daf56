"""Counting of parameters and multiply-adds: of a network, and of a config's."""

from .counting import Complexity, UncountedOperationError, count_complexity

__all__ = ['Complexity', 'UncountedOperationError', 'count_complexity']
