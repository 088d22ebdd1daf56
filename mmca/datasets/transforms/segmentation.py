"""Transforms for mmseg. A config that uses one imports this module in ``custom_imports``."""

import numpy as np
from mmseg.datasets.transforms import LoadAnnotations as _LoadAnnotations

from mmca.options import check_at_least, suggest_options
from mmca.registry import TRANSFORMS

from .loading import naming_file


@TRANSFORMS.register_module()
@suggest_options
class LoadSegAnnotations(_LoadAnnotations):
    """mmseg's LoadAnnotations that refuses a mask that does not fit its image or classes.

    Args:
        num_classes (int): Labels must be below it, or ``ignore_index``.
        ignore_index (int): The label of pixels that do not count.
        **kwargs: Options of mmseg's ``LoadAnnotations``.

    Raises:
        ValueError: If the mask cannot be decoded, has another size than the image, or holds
            a label outside the classes; the message names the file.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255, **kwargs) -> None:
        super().__init__(**kwargs)
        check_at_least('LoadSegAnnotations', 'num_classes', num_classes, 1)
        check_at_least('LoadSegAnnotations', 'ignore_index', ignore_index, 0)
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        path = results['seg_map_path']
        with naming_file(path):
            results = super().transform(results)
        mask = results['gt_seg_map']
        if mask.shape != tuple(results['ori_shape']):
            raise ValueError(
                f'{path}: the mask is {mask.shape[::-1]}, its image {results["img_path"]} '
                f'{tuple(results["ori_shape"])[::-1]} pixels (width, height); restore the pair'
            )
        labels = np.unique(mask)
        outside = labels[(labels >= self.num_classes) & (labels != self.ignore_index)].tolist()
        if outside:
            raise ValueError(
                f'{path}: labels {outside} are outside the {self.num_classes} classes '
                f'(0-{self.num_classes - 1}, ignored: {self.ignore_index}); correct the mask, or '
                'num_classes in the config'
            )
        return results
