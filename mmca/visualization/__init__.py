"""Visualizers for mmdet. A config that uses one imports this module in ``custom_imports``."""

from .det_local_visualizer import DetLocalVisualizer

__all__ = ['DetLocalVisualizer']
