"""Computed parameters and multiply-adds of a config, at the input size it is published for."""

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmca.config_walk import config_datasets, leaf_transforms
from mmca.errors import UserError

from .counting import Complexity, count_complexity


def input_size(cfg: Config, loader: str = 'test_dataloader') -> tuple[int, int]:
    """(height, width) of the config's crop, else of a dataloader's images, else 224x224."""
    # Of segmentation configs. They test at the size of each picture.
    if size := _pair(cfg.get('crop_size')):
        return size
    for _, dataset in config_datasets(cfg, [loader]):
        for transform in reversed(list(leaf_transforms(dataset.get('pipeline') or []))):
            # mmcv's sizes are (width, height).
            if size := _pair(transform.get('crop_size')) or _pair(transform.get('scale')):
                return size[::-1]
    return 224, 224


def _pair(size: object) -> tuple[int, int] | None:
    """A size given as one number or two; None if it is neither."""
    if isinstance(size, int):
        return size, size
    numbers = tuple(size) if isinstance(size, (list, tuple)) else ()
    if not numbers or not all(isinstance(number, int) for number in numbers):
        return None
    return (numbers[0], numbers[-1]) if len(numbers) < 3 else None


def count_config(cfg: Config, height: int, width: int) -> Complexity:
    """Count the model of a config, without memory for its weights' arithmetic.

    Raises:
        UserError: If the config has no model.
    """
    if 'model' not in cfg:
        raise UserError('the config has no model')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        model = MODELS.build(cfg.model)
    return count_complexity(model.to('meta'), height, width)
