"""A model of any task as a function that Grad-CAM takes, and its target."""

import torch
from torch import Tensor, nn

from mmca.errors import UserError


class ClassScores(nn.Module):
    """A model's logits, before softmax or sigmoid, of each class at each place.

    Args:
        model (nn.Module): A classifier of mmpretrain, a segmentor of mmseg or a one-stage detector
            of mmdet; in evaluation mode.
        task (str): Which of the three, as ``Predictor.task``.

    Shape:
        Input (N, 3, H, W), normalised; output (N, classes, places): one place of a classifier, the
        pixels of the decode head's map, all anchors.

    Raises:
        UserError: If the detector is of another kind.
    """

    def __init__(self, model: nn.Module, task: str) -> None:
        super().__init__()
        self.model, self.task = model, task
        head = getattr(model, 'bbox_head', None)
        if task == 'detection' and not hasattr(head, 'cls_out_channels'):
            raise UserError(
                f'{type(model).__name__}: of detectors, Grad-CAM is drawn of those with one stage, '
                'such as SSDLite'
            )

    def forward(self, x: Tensor) -> Tensor:
        found = self.model(x, mode='tensor')
        if self.task == 'classification':
            return found[:, :, None]
        if self.task == 'segmentation':
            return found.flatten(2)
        channels = self.model.bbox_head.cls_out_channels
        anchors = [level.unflatten(1, (-1, channels)).transpose(1, 2) for level in found[0]]
        return torch.cat([level.flatten(2) for level in anchors], dim=2)


class ScoreOfClass:
    """The score that Grad-CAM derives: that of a class, where the network says it is.

    Of a classifier its logit; of a segmentor the sum of its logits over the pixels that are of the
    class; of a detector, and where no pixel is of the class, its highest logit.

    Args:
        task (str): As ``Predictor.task``.
        class_number (int): The class.
    """

    def __init__(self, task: str, class_number: int) -> None:
        self.task, self.class_number = task, class_number

    def __call__(self, scores: Tensor) -> Tensor:
        """``scores``: (classes, places), of one image."""
        own = scores[self.class_number]
        if self.task == 'segmentation':
            chosen = scores.argmax(dim=0) == self.class_number
            if chosen.any():
                return own[chosen].sum()
        return own.max()
