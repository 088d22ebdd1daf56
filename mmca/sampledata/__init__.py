"""A synthetic dataset: procedurally drawn scenes with exact masks and boxes.

It is meant for demos, tests and for comparing attentions on a small budget; numbers measured on
it say nothing about any real dataset.
"""

from .classes import VOC_CLASSES
from .generate import SampleError, generate
from .layouts import LAYOUTS
from .scene import DIFFICULTIES, Instance, Scene, draw_scene
from .settings import SampleSettings

__all__ = [
    'DIFFICULTIES',
    'LAYOUTS',
    'VOC_CLASSES',
    'Instance',
    'SampleError',
    'SampleSettings',
    'Scene',
    'draw_scene',
    'generate',
]
