"""Coordinate attention (Hou et al., CVPR 2021) for OpenMMLab detection and segmentation.

``custom_imports = dict(imports=['mmca'], allow_failed_imports=False)`` in a config makes
``type='mmca.MobileNetV2'`` and the other models, hooks and transforms of scope ``mmca``
available under any default scope (mmseg, mmdet, mmpretrain). Classes that derive from one
of these libraries live in modules that such a config imports by name, for example
``mmca.models.decode_heads``, so that importing ``mmca`` needs mmengine and mmcv only.
"""

from .compatibility import check_versions
from .version import __version__

check_versions()

from . import registry  # noqa: E402

__all__ = ['__version__', 'registry']
