"""Coordinate attention (Hou et al., CVPR 2021) for OpenMMLab detection and segmentation.

``custom_imports = dict(imports=['mmca'], allow_failed_imports=False)`` in a config makes
``type='mmca.MobileNetV2'`` and the other models, hooks and transforms of scope ``mmca``
available under any default scope (mmseg, mmdet, mmpretrain). Classes that derive from one
of these libraries live in modules that such a config imports by name, for example
``mmca.models.decode_heads``, so that importing ``mmca`` needs mmengine and mmcv only.
``mmca.ops``, the attention itself, needs torch alone.
"""

from importlib.util import find_spec
from typing import Any

from .version import __version__

if find_spec('mmengine') is not None:
    from . import registry  # checks the versions

__all__ = ['Predictor', '__version__', 'insert_attention', 'registry', 'remove_attention']


def __getattr__(name: str) -> Any:
    # The backbones need more than torch: not before they are asked for.
    if name in ('insert_attention', 'remove_attention'):
        from mmca.models.backbones import insertion

        return getattr(insertion, name)
    if name == 'Predictor':
        from mmca.predict import Predictor

        return Predictor
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
