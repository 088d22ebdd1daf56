from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmdet.evaluation import VOCMetric as _VOCMetric
from mmdet.evaluation import eval_map, voc_classes
from mmengine.logging import print_log

from mmca.registry import METRICS


@METRICS.register_module()
class VOCMetric(_VOCMetric):
    """mmdet's VOCMetric that can also write what PASCAL VOC's development kit reads.

    Its table has the names of the data's own classes, and it keeps what it prints of each.

    Args:
        outfile_prefix (str | None): Write ``<outfile_prefix>_<class>.txt`` for each class, with a
            line ``<image> <score> <x1> <y1> <x2> <y2>`` for each box, in pixels from 1 (VOC 2007
            development kit, Sec. 8.2: ``comp4_det_test_<class>.txt``). None: write nothing.
        **kwargs: Options of mmdet's ``VOCMetric``.

    Attributes:
        per_class (dict[str, float]): ``'AP.<class>'`` in percent, at the first IoU threshold.
    """

    per_class: dict[str, float] = {}

    def __init__(self, outfile_prefix: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.outfile_prefix = outfile_prefix

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        first = len(self.results)
        super().process(data_batch, data_samples)
        for (annotation, _), sample in zip(self.results[first:], data_samples, strict=True):
            annotation['img_id'] = sample['img_id']

    def compute_metrics(self, results: list) -> dict:
        if self.outfile_prefix:
            self._write(results)
        if list(self.dataset_meta['classes']) != voc_classes():
            # It names the rows of its table after VOC's classes, and fails at the 21st.
            self.dataset_meta = {**self.dataset_meta, 'dataset_type': None}
        metrics = super().compute_metrics(results)
        if self.metric == 'mAP':
            self.per_class = self._average_precisions(results)
        return metrics

    def _average_precisions(self, results: list) -> dict[str, float]:
        truth, found = zip(*results, strict=True)
        _, by_class = eval_map(
            found,
            truth,
            scale_ranges=self.scale_ranges,
            iou_thr=self.iou_thrs[0],
            logger='silent',
            eval_mode=self.eval_mode,
            use_legacy_coordinate=True,  # as mmdet's
        )
        names = self.dataset_meta['classes']
        values = [np.mean(entry['ap']).item() for entry in by_class]  # over scale_ranges
        return {f'AP.{name}': 100 * value for name, value in zip(names, values, strict=True)}

    def _write(self, results: list) -> None:
        Path(self.outfile_prefix).parent.mkdir(parents=True, exist_ok=True)
        for label, name in enumerate(self.dataset_meta['classes']):
            lines = [
                f'{annotation["img_id"]} {score:.6f} {x1 + 1:.3f} {y1 + 1:.3f} {x2 + 1:.3f} '
                f'{y2 + 1:.3f}\n'
                for annotation, detections in results
                for x1, y1, x2, y2, score in detections[label]
            ]
            Path(f'{self.outfile_prefix}_{name}.txt').write_text(''.join(lines))
        print_log(f'Detections written to {self.outfile_prefix}_*.txt', logger='current')
