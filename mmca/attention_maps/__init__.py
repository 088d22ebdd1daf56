"""What an attention changes: feature maps around it, Grad-CAM, its gates; drawn for pictures."""

from .maps import AttentionMaps, attention_maps

__all__ = ['AttentionMaps', 'attention_maps']
