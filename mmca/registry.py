"""Registries of scope ``mmca``, children of mmengine's, one for each kind in use.

mmengine imports this module by itself when a config names ``type='mmca.X'``, and hides an
ImportError raised here behind a KeyError: so it imports nothing but mmengine, and the
modules in ``locations`` are imported when something is first looked up.
"""

from mmengine.registry import DATA_SAMPLERS as ROOT_DATA_SAMPLERS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import METRICS as ROOT_METRICS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import TASK_UTILS as ROOT_TASK_UTILS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import VISUALIZERS as ROOT_VISUALIZERS
from mmengine.registry import Registry

MODELS = Registry('model', parent=ROOT_MODELS, scope='mmca', locations=['mmca.models'])
HOOKS = Registry('hook', parent=ROOT_HOOKS, scope='mmca', locations=['mmca.engine.hooks'])
TRANSFORMS = Registry(
    'transform',
    parent=ROOT_TRANSFORMS,
    scope='mmca',
    locations=['mmca.datasets.transforms'],
)
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=ROOT_DATA_SAMPLERS,
    scope='mmca',
    locations=['mmca.datasets.samplers'],
)
# What is in these derives from mmdet's: the configs in need of it import it.
TASK_UTILS = Registry('task util', parent=ROOT_TASK_UTILS, scope='mmca')
METRICS = Registry('metric', parent=ROOT_METRICS, scope='mmca')
VISUALIZERS = Registry('visualizer', parent=ROOT_VISUALIZERS, scope='mmca')
