from mmcv.cnn import build_activation_layer
from torch import Tensor, nn

from mmca.options import check_at_least, suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation, Hu et al., CVPR 2018, with the budget of the CA authors' code.

    Args:
        in_channels (int): Channels C of the input and the output.
        reduction (int): The squeezed vector has ``max(1, C // reduction)`` channels. 24
            gives the 3.89 M of MobileNetV2 + SE in the CA paper.
        act_cfg (dict): Activation between the two 1x1 convolutions.
        gate_cfg (dict): Activation that makes the gate.

    Shape:
        Input (N, C, H, W), any H, W >= 1; output the same.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int = 24,
        act_cfg: dict = dict(type='ReLU6'),
        gate_cfg: dict = dict(type='Sigmoid'),
    ) -> None:
        super().__init__()
        check_at_least('SqueezeExcitation', 'in_channels', in_channels, 1)
        check_at_least('SqueezeExcitation', 'reduction', reduction, 1)
        mid_channels = max(1, in_channels // reduction)
        self.conv_reduce = nn.Conv2d(in_channels, mid_channels, 1)
        self.act = build_activation_layer(act_cfg)
        self.conv_expand = nn.Conv2d(mid_channels, in_channels, 1)
        self.gate = build_activation_layer(gate_cfg)

    def gate_layers(self) -> dict[str, int]:
        """The layer whose output the gate is made of, and how often it is added up."""
        return {'conv_expand': 1}

    def forward(self, x: Tensor) -> Tensor:
        squeezed = nn.functional.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.conv_expand(self.act(self.conv_reduce(squeezed))))
