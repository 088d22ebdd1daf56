from mmdet.models.losses import FocalLoss
from torch import Tensor

from mmca.registry import MODELS


@MODELS.register_module()
class SSDLiteFocalLoss(FocalLoss):
    """Sigmoid focal loss over the classes and one more output that is never positive.

    The CA authors keep the output of the background, though sigmoids need none: background is
    no class at all here. Their weight is 5.

    Args:
        loss_weight (float): Weight of the loss.
        **kwargs: Options of mmdet's ``FocalLoss``.

    Shape:
        Logits (P, num_classes + 1); labels (P,), ``num_classes`` meaning background.
    """

    # mmdet's heads then ask get_activation for the scores.
    custom_cls_channels = True

    def __init__(self, loss_weight: float = 5.0, **kwargs) -> None:
        super().__init__(loss_weight=loss_weight, **kwargs)

    def forward(self, pred: Tensor, target: Tensor, *args, **kwargs) -> Tensor:
        outputs = pred.shape[1]
        # One past the outputs: mmdet's word for a sample without any class.
        target = target.masked_fill(target == outputs - 1, outputs)
        return super().forward(pred, target, *args, **kwargs)

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Scores (P, num_classes) of logits (P, num_classes + 1)."""
        return cls_score.sigmoid()[:, :-1]
