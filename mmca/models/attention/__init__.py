from .cbam import CBAM
from .coordinate_attention import CoordinateAttention
from .squeeze_excitation import SqueezeExcitation

__all__ = ['CBAM', 'CoordinateAttention', 'SqueezeExcitation']
