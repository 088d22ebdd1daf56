from .efficientnet import EfficientNet
from .mobilenet_v2 import MobileNetV2
from .mobilenext import MobileNeXt

__all__ = ['EfficientNet', 'MobileNeXt', 'MobileNetV2']
