"""Dense heads for mmdet. A config that uses one imports this module in ``custom_imports``."""

from .ssdlite_focal_loss import SSDLiteFocalLoss
from .ssdlite_head import SSDLiteHead
from .ssdlite_prior_generator import SSDLiteAnchorGenerator

__all__ = ['SSDLiteAnchorGenerator', 'SSDLiteFocalLoss', 'SSDLiteHead']
