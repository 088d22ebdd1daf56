from math import gcd

from mmcv.cnn import build_activation_layer
from torch import Tensor, nn

from mmca.options import check_at_least, check_odd, suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class ELA(nn.Module):
    """Efficient local attention, Xu and Wan, 2024 (arXiv 2403.01123), Sec. 3.3, Eq. 4-6.

    The pools of coordinate attention along width and height, each through a one-dimensional
    convolution and group norm of its own, without reduction: ``y = x * gate_h * gate_w``.

    Args:
        in_channels (int): Channels C of the input and the output.
        kernel_size (int): Odd kernel size. The paper's ELA-B and ELA-L have 7, ELA-T and ELA-S 5.
        channels_per_group (int): Of the convolutions: 1 (depthwise) in ELA-B and ELA-T, 8 in ELA-S
            and ELA-L. It has to divide C.
        num_groups (int): Of group norm, or the next lower number that divides it and C: 16 in
            ELA-B, ELA-S and ELA-L, 32 in ELA-T.
        act_cfg (dict | None): Activation between norm and gate; the paper has none.
        gate_cfg (dict): Activation that makes the gates.

    Shape:
        Input (N, C, H, W), any H, W >= 1; output the same.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        kernel_size: int = 7,
        channels_per_group: int = 1,
        num_groups: int = 16,
        act_cfg: dict | None = None,
        gate_cfg: dict = dict(type='Sigmoid'),
    ) -> None:
        super().__init__()
        check_at_least('ELA', 'in_channels', in_channels, 1)
        check_odd('ELA', 'kernel_size', kernel_size)
        check_at_least('ELA', 'channels_per_group', channels_per_group, 1)
        check_at_least('ELA', 'num_groups', num_groups, 1)
        if in_channels % channels_per_group:
            raise ValueError(
                f'ELA: channels_per_group={channels_per_group} does not divide '
                f'in_channels={in_channels}'
            )
        groups = in_channels // channels_per_group
        options = dict(groups=groups, bias=False)
        k, pad = kernel_size, kernel_size // 2
        self.conv_h = nn.Conv2d(in_channels, in_channels, (k, 1), padding=(pad, 0), **options)
        self.conv_w = nn.Conv2d(in_channels, in_channels, (1, k), padding=(0, pad), **options)
        self.norm_h = nn.GroupNorm(gcd(num_groups, in_channels), in_channels)
        self.norm_w = nn.GroupNorm(gcd(num_groups, in_channels), in_channels)
        self.act = nn.Identity() if act_cfg is None else build_activation_layer(act_cfg)
        self.gate = build_activation_layer(gate_cfg)

    def init_weights(self) -> None:
        """PyTorch's own start: a backbone's is for convolutions of many inputs."""
        for conv in (self.conv_h, self.conv_w):
            conv.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        gate_h = self.gate(self.act(self.norm_h(self.conv_h(x.mean(3, keepdim=True)))))
        gate_w = self.gate(self.act(self.norm_w(self.conv_w(x.mean(2, keepdim=True)))))
        return x * gate_h * gate_w
