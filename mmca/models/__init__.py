from mmca import registry  # noqa: F401  (first: says which libraries are missing)

from . import pretrained_init  # noqa: F401  mmengine's `Pretrained`, strict
from .attention import *  # noqa: F401,F403
from .backbones import *  # noqa: F401,F403
from .necks import *  # noqa: F401,F403
