"""Decode heads for mmseg. A config that uses one imports this module in ``custom_imports``."""

from .deeplabv3_head import DeepLabV3Head

__all__ = ['DeepLabV3Head']
