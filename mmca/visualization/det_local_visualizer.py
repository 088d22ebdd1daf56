import numpy as np
from mmdet.visualization import DetLocalVisualizer as _DetLocalVisualizer
from mmengine.structures import InstanceData

from mmca.registry import VISUALIZERS


@VISUALIZERS.register_module()
class DetLocalVisualizer(_DetLocalVisualizer):
    """mmdet's DetLocalVisualizer that draws boxes as far as the image reaches.

    SSDLite's boxes are not clipped, as the CA authors' are not; drawn whole they would shrink
    the image. Options are mmdet's.
    """

    def _draw_instances(self, image: np.ndarray, instances: InstanceData, *args) -> np.ndarray:
        if 'bboxes' in instances:
            height, width = image.shape[:2]
            instances = instances.clone()
            instances.bboxes[:, 0::2].clamp_(0, width)
            instances.bboxes[:, 1::2].clamp_(0, height)
        return super()._draw_instances(image, instances, *args)
