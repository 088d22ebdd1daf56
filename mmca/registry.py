"""Registries of scope ``mmca``, children of mmengine's, one for each kind in use.

mmengine imports this module by itself when a config names ``type='mmca.X'``, and hides an
ImportError raised here behind a KeyError: so it imports nothing but mmengine, and the
modules in ``locations`` are imported when something is first looked up.
"""

from .compatibility import check_versions

check_versions()

from mmengine import registry as root  # noqa: E402
from mmengine.registry import Registry  # noqa: E402

MODELS = Registry('model', parent=root.MODELS, scope='mmca', locations=['mmca.models'])
HOOKS = Registry('hook', parent=root.HOOKS, scope='mmca', locations=['mmca.engine.hooks'])
OPTIM_WRAPPERS = Registry(
    'optimizer wrapper',
    parent=root.OPTIM_WRAPPERS,
    scope='mmca',
    locations=['mmca.engine.optim_wrapper'],
)
TRANSFORMS = Registry(
    'transform',
    parent=root.TRANSFORMS,
    scope='mmca',
    locations=['mmca.datasets.transforms'],
)
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=root.DATA_SAMPLERS,
    scope='mmca',
    locations=['mmca.datasets.samplers'],
)
# What is in these derives from the libraries': the configs in need of it import it.
DATASETS = Registry('dataset', parent=root.DATASETS, scope='mmca')
TASK_UTILS = Registry('task util', parent=root.TASK_UTILS, scope='mmca')
METRICS = Registry('metric', parent=root.METRICS, scope='mmca')
VISUALIZERS = Registry('visualizer', parent=root.VISUALIZERS, scope='mmca')
