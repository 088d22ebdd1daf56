from mmpretrain.models.heads import LinearClsHead as _LinearClsHead
from torch import Tensor, nn

from mmca.options import suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class LinearClsHead(_LinearClsHead):
    """mmpretrain's LinearClsHead with dropout before the linear layer.

    Args:
        *args: Options of mmpretrain's ``LinearClsHead``.
        dropout (float): Share of the features that are dropped while training.
        **kwargs: Options of mmpretrain's ``LinearClsHead``.

    Shape:
        Input: a tuple whose last element is (N, in_channels); output (N, num_classes).
    """

    def __init__(self, *args, dropout: float = 0.0, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.dropout = nn.Dropout(dropout)

    def pre_logits(self, feats: tuple[Tensor]) -> Tensor:
        return self.dropout(super().pre_logits(feats))
