from mmseg.evaluation import IoUMetric as _IoUMetric

from mmca.registry import METRICS


@METRICS.register_module()
class IoUMetric(_IoUMetric):
    """mmseg's IoUMetric that keeps what it prints of each class.

    Attributes:
        per_class (dict[str, float]): ``'IoU.<class>'`` in percent; NaN for a class that neither
            the masks nor the predictions have.
    """

    per_class: dict[str, float] = {}

    def compute_metrics(self, results: list) -> dict[str, float]:
        metrics = super().compute_metrics(results)
        if not self.format_only:
            intersection, union = (sum(areas) for areas in list(zip(*results, strict=True))[:2])
            shares = (100 * intersection / union).tolist()
            names = self.dataset_meta['classes']
            self.per_class = {
                f'IoU.{name}': share for name, share in zip(names, shares, strict=True)
            }
        return metrics
