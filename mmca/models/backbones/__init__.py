from .mobilenet_v2 import MobileNetV2
from .mobilenext import MobileNeXt

__all__ = ['MobileNeXt', 'MobileNetV2']
