import torch
from mmdet.models.task_modules.prior_generators import SSDAnchorGenerator
from torch import Tensor

from mmca.registry import TASK_UTILS


@TASK_UTILS.register_module()
class SSDLiteAnchorGenerator(SSDAnchorGenerator):
    """mmdet's SSDAnchorGenerator with priors that are no wider or higher than the image.

    The CA authors clip their priors to [0, 1] as centre, width and height.

    Args:
        input_size (int): Width and height of the image in pixels.
        **kwargs: Options of mmdet's ``SSDAnchorGenerator``.
    """

    def __init__(self, input_size: int = 320, scale_major: bool = False, **kwargs) -> None:
        self.clip_size = input_size
        super().__init__(scale_major=scale_major, **kwargs)

    def gen_base_anchors(self) -> list[Tensor]:
        clipped = []
        for anchors in super().gen_base_anchors():
            centres = (anchors[:, :2] + anchors[:, 2:]) / 2
            halves = ((anchors[:, 2:] - anchors[:, :2]) / 2).clamp(max=self.clip_size / 2)
            clipped.append(torch.cat([centres - halves, centres + halves], dim=1))
        return clipped
