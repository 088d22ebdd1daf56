"""Computed parameters and multiply-adds of a config, at the input size it is published for."""

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmca.complexity import Complexity, count_complexity
from mmca.engine.data_check import config_datasets


def input_size(cfg: Config) -> tuple[int, int]:
    """(height, width) of the config's crop, else of its test images, else 224x224."""
    # Of segmentation configs. They test at the size of each picture.
    if 'crop_size' in cfg:
        return tuple(cfg.crop_size)
    for _, dataset in config_datasets(cfg, ['test_dataloader']):
        for transform in reversed(dataset.get('pipeline', [])):
            # mmcv's sizes are (width, height).
            size = transform.get('crop_size') or transform.get('scale')
            if size:
                return (size, size) if isinstance(size, int) else tuple(size)[::-1]
    return 224, 224


def count_config(cfg: Config, height: int, width: int) -> Complexity:
    """Count the model of a config, without memory for its weights' arithmetic.

    Raises:
        ValueError: If the config has no model.
    """
    if 'model' not in cfg:
        raise ValueError('the config has no model')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        model = MODELS.build(cfg.model)
    return count_complexity(model.to('meta'), height, width)
