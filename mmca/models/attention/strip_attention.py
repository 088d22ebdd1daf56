from mmcv.cnn import build_activation_layer
from torch import Tensor, nn

from mmca.options import check_at_least, check_odd, suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class StripAttention(nn.Module):
    """Minimal strip attention, the function of timm's ``StripAttn``; it has no paper of its own.

    Strip pooling (Hou et al., CVPR 2020, Sec. 3.1) along width and height, a depthwise convolution
    of each strip, and one gate of their sum: ``y = x * sigmoid(s_h + s_w)``. The gate is not
    separable, unlike that of coordinate attention.

    Args:
        in_channels (int): Channels C of the input and the output.
        kernel_size (int): Odd kernel size of the depthwise convolutions.
        gate_cfg (dict): Activation that makes the gate.

    Shape:
        Input (N, C, H, W), any H, W >= 1; output the same.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self, in_channels: int, kernel_size: int = 3, gate_cfg: dict = dict(type='Sigmoid')
    ) -> None:
        super().__init__()
        check_at_least('StripAttention', 'in_channels', in_channels, 1)
        check_odd('StripAttention', 'kernel_size', kernel_size)
        k, pad = kernel_size, kernel_size // 2
        depthwise = dict(groups=in_channels, bias=False)
        self.conv_h = nn.Conv2d(in_channels, in_channels, (k, 1), padding=(pad, 0), **depthwise)
        self.conv_w = nn.Conv2d(in_channels, in_channels, (1, k), padding=(0, pad), **depthwise)
        self.gate = build_activation_layer(gate_cfg)

    def init_weights(self) -> None:
        """PyTorch's own start: a backbone's is for convolutions of many inputs."""
        for conv in (self.conv_h, self.conv_w):
            conv.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        strip_h = self.conv_h(x.mean(3, keepdim=True))  # (N, C, H, 1)
        strip_w = self.conv_w(x.mean(2, keepdim=True))  # (N, C, 1, W)
        return x * self.gate(strip_h + strip_w)
