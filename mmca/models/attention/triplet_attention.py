import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import Tensor, nn

from mmca.options import check_at_least, check_odd, suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class TripletAttention(nn.Module):
    """Triplet attention, Misra et al., WACV 2021 (arXiv 2010.03045), Sec. 3.2-3.3, Eq. 1-5.

    Each pair of the dimensions C, H, W gets a gate of its own, made of the map's maximum and mean
    along the third one (Z-pool): convolution of 2 planes to 1, batch norm, sigmoid. The output is
    the mean of the three gated maps. Its number of parameters does not depend on the channels.

    Args:
        in_channels (int): Channels C of the input and the output.
        kernel_size (int): Odd kernel size of the three convolutions. The paper uses 7, and reports
            3 for MobileNetV2, too.
        norm_cfg (dict): Normalisation after each convolution.
        gate_cfg (dict): Activation that makes the gates.

    Shape:
        Input (N, C, H, W), any H, W >= 1; output the same.

    Raises:
        ValueError: If an option is out of range.
    """

    position = 'after_projection'

    def __init__(
        self,
        in_channels: int,
        kernel_size: int = 7,
        norm_cfg: dict = dict(type='BN', momentum=0.01),
        gate_cfg: dict = dict(type='Sigmoid'),
    ) -> None:
        super().__init__()
        check_at_least('TripletAttention', 'in_channels', in_channels, 1)
        check_odd('TripletAttention', 'kernel_size', kernel_size)
        for plane in ('cw', 'hc', 'hw'):
            conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
            self.add_module(f'conv_{plane}', conv)
            self.add_module(f'bn_{plane}', build_norm_layer(norm_cfg, 1)[1])
        self.gate = build_activation_layer(gate_cfg)

    def forward(self, x: Tensor) -> Tensor:
        cw = self.gate(self.bn_cw(self.conv_cw(z_pool(x, 2))))  # (N, 1, C, W)
        hc = self.gate(self.bn_hc(self.conv_hc(z_pool(x, 3).transpose(2, 3))))  # (N, 1, H, C)
        hw = self.gate(self.bn_hw(self.conv_hw(z_pool(x, 1))))  # (N, 1, H, W)
        return x * (cw.transpose(1, 2) + hc.permute(0, 3, 2, 1) + hw) / 3


def z_pool(x: Tensor, dim: int) -> Tensor:
    """Maximum and mean along one dimension: two planes of the other two."""
    return torch.stack([x.amax(dim), x.mean(dim)], dim=1)
