from .efficientnet import EfficientNet
from .mnasnet import MnasNet
from .mobilenet_v1 import MobileNetV1
from .mobilenet_v2 import MobileNetV2
from .mobilenet_v3 import MobileNetV3
from .mobilenext import MobileNeXt

__all__ = ['EfficientNet', 'MnasNet', 'MobileNeXt', 'MobileNetV1', 'MobileNetV2', 'MobileNetV3']
