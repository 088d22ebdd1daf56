import math

from mmcv.cnn import build_activation_layer
from torch import Tensor, nn

from mmca.options import check_at_least, check_odd, suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class ECA(nn.Module):
    """Efficient channel attention, Wang et al., CVPR 2020 (arXiv 1910.03151), Sec. 3.2-3.3.

    ``y = x * sigmoid(conv1d(mean(x)))``: one kernel slides along the averaged channels, without
    reduction. Its size follows from their number (Eq. 12): ``|log2(C) / gamma + beta / gamma|``,
    cut off and made odd by adding 1.

    Args:
        in_channels (int): Channels C of the input and the output.
        kernel_size (int | None): Odd kernel size; None: by Eq. 12.
        gamma (int): Of Eq. 12.
        beta (int): Of Eq. 12, there called b.
        gate_cfg (dict): Activation that makes the gate.

    Shape:
        Input (N, C, H, W), any H, W >= 1; output the same.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        kernel_size: int | None = None,
        gamma: int = 2,
        beta: int = 1,
        gate_cfg: dict = dict(type='Sigmoid'),
    ) -> None:
        super().__init__()
        check_at_least('ECA', 'in_channels', in_channels, 1)
        check_at_least('ECA', 'gamma', gamma, 1)
        if kernel_size is None:
            kernel_size = int(abs(math.log2(in_channels) + beta) / gamma) | 1
        check_odd('ECA', 'kernel_size', kernel_size)
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.gate = build_activation_layer(gate_cfg)

    def forward(self, x: Tensor) -> Tensor:
        profile = x.mean(dim=(2, 3)).unsqueeze(1)  # (N, 1, C)
        return x * self.gate(self.conv(profile)).transpose(1, 2).unsqueeze(3)
