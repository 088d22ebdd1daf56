"""Metrics for mmdet. A config that uses one imports this module in ``custom_imports``."""

from .voc_metric import VOCMetric

__all__ = ['VOCMetric']
