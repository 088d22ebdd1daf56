"""Transforms for mmseg. A config that uses one imports this module in ``custom_imports``."""

import cv2
import mmcv
import numpy as np
from mmengine import fileio
from mmseg.datasets.transforms import LoadAnnotations as _LoadAnnotations

from mmca.errors import UserError
from mmca.images.labels import (
    check_labels,
    label_problem,
    label_table,
    outside_table,
    present_labels,
    size_problem,
    to_labels,
)
from mmca.images.opening import BadImageError, naming_file, open_image
from mmca.options import check_at_least, suggest_options
from mmca.registry import TRANSFORMS


@TRANSFORMS.register_module()
@suggest_options
class LoadSegAnnotations(_LoadAnnotations):
    """mmseg's LoadAnnotations that refuses a mask that does not fit its image or classes.

    An image of a dataset without masks (no ``data_prefix.seg_map_path``) passes as it is.

    Args:
        num_classes (int): Labels must be below it, or ``ignore_index``. 1 stands for one output
            of the network, which tells label 1 from label 0.
        ignore_index (int): The label of pixels that do not count.
        **kwargs: Options of mmseg's ``LoadAnnotations``.

    Raises:
        BadImageError: If the mask cannot be decoded, has another size than the image, holds
            colours, fractions, or a label outside the classes; the message names the file.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255, **kwargs) -> None:
        super().__init__(**kwargs)
        check_at_least('LoadSegAnnotations', 'num_classes', num_classes, 1)
        check_at_least('LoadSegAnnotations', 'ignore_index', ignore_index, 0)
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        if results.get('seg_map_path') is None:
            return results
        return super().transform(results)

    def _load_seg_map(self, results: dict) -> None:
        path = results['seg_map_path']
        with naming_file(path):
            content = fileio.get(path, backend_args=self.backend_args)
            if self.imdecode_backend == 'pillow':
                with open_image(path, content) as image:
                    labels = to_labels(image, path)
            else:
                decoded = mmcv.imfrombytes(content, 'unchanged', backend=self.imdecode_backend)
                labels = check_labels(decoded, path)
        if labels.shape != tuple(results['ori_shape']):
            raise BadImageError(
                size_problem(path, labels.shape, results['img_path'], results['ori_shape'])
            )
        table = label_table(self._reduces_zero(results), results.get('label_map'))
        if problem := self._problem(labels, table):
            raise BadImageError(f'{path}: {problem}')
        labels = labels.astype(np.uint8)  # a copy that can be written to
        is_same = (table == np.arange(len(table))).all()
        results['gt_seg_map'] = labels if is_same else cv2.LUT(labels, table)
        results['seg_fields'].append('gt_seg_map')

    def _problem(self, labels: np.ndarray, table: np.ndarray) -> str:
        # Most often the highest label tells, else a table: both are quicker than counting each.
        outside = outside_table(table, self.num_classes, self.ignore_index)
        of_bytes = labels.dtype == np.uint8 and labels.size > 0 and outside.any()
        if of_bytes and (
            labels.max() < outside.argmax() or not cv2.countNonZero(cv2.LUT(labels, outside))
        ):
            return ''
        return label_problem(present_labels(labels), table, self.num_classes, self.ignore_index)

    def _reduces_zero(self, results: dict) -> bool:
        of_dataset = results['reduce_zero_label']
        if self.reduce_zero_label not in (None, of_dataset):
            raise UserError(
                f'LoadSegAnnotations: reduce_zero_label={self.reduce_zero_label}, but that of '
                f"the dataset is {of_dataset}: set the dataset's alone"
            )
        return of_dataset
