import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import Tensor, nn

from mmca.ops.coordinate_gate import attention_between, coordinate_attention
from mmca.options import check_at_least, check_choice, suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class CoordinateAttention(nn.Module):
    """Coordinate attention, Hou et al., CVPR 2021, Sec. 3.2 and Fig. 2(c).

    The map is averaged along its width and along its height, both profiles pass one shared
    1x1 convolution, and each then gives a gate: ``y = x * gate_w * gate_h``. Parameters and
    their names are those of the authors' code (``conv1``, ``bn1``, ``conv_h``, ``conv_w``).

    Args:
        in_channels (int): Channels C of the input and the output.
        reduction (int): The shared convolution has ``max(min_channels, C // reduction)``
            channels. The paper uses 32 with MobileNetV2 and 24 with MobileNeXt.
        axes (str): ``'hw'``; or one direction only, the paper's ablation (Table 2):
            ``'h'`` keeps the gate that varies along the height (Y attention), ``'w'`` the
            one that varies along the width (X attention).
        min_channels (int): Least channels of the shared convolution.
        norm_cfg (dict): Normalisation after the shared convolution.
        act_cfg (dict): Activation after it. The authors use h-swish.
        gate_cfg (dict): Activation that makes the gates.

    Shape:
        Input (N, C, H, W), any H, W >= 1; output the same.

    Raises:
        ValueError: If an option is out of range.

    Note:
        ``'hw'`` runs through the fast kernels of :mod:`mmca.ops` where they are available, see
        :mod:`mmca.ops.implementation`.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int = 32,
        axes: str = 'hw',
        min_channels: int = 8,
        norm_cfg: dict = dict(type='BN'),
        act_cfg: dict = dict(type='HSwish'),
        gate_cfg: dict = dict(type='Sigmoid'),
    ) -> None:
        super().__init__()
        check_at_least('CoordinateAttention', 'in_channels', in_channels, 1)
        check_at_least('CoordinateAttention', 'reduction', reduction, 1)
        check_at_least('CoordinateAttention', 'min_channels', min_channels, 1)
        check_choice('CoordinateAttention', 'axes', axes, ('hw', 'h', 'w'))
        mid_channels = max(min_channels, in_channels // reduction)
        self.axes = axes
        self.conv1 = nn.Conv2d(in_channels, mid_channels, 1)
        self.bn1 = build_norm_layer(norm_cfg, mid_channels)[1]
        self.act = build_activation_layer(act_cfg)
        if 'h' in axes:
            self.conv_h = nn.Conv2d(mid_channels, in_channels, 1)
        if 'w' in axes:
            self.conv_w = nn.Conv2d(mid_channels, in_channels, 1)
        self.gate = build_activation_layer(gate_cfg)

    def forward(self, x: Tensor) -> Tensor:
        if not torch.jit.is_scripting():
            out = coordinate_attention(self, x) if self.axes == 'hw' else None
            if out is not None:
                return out
        return self.plain_forward(x)

    @torch.jit.unused
    def forward_between(self, before: nn.Module, x: Tensor, after: nn.Module) -> Tensor:
        """``after(self(before(x)))`` with less time and memory, where the layers allow it.

        See :func:`mmca.ops.coordinate_gate.attention_between`.
        """
        if self.axes == 'hw' and type(self) is CoordinateAttention:
            out = attention_between(self, before, x, after)
            if out is not None:
                return out
        return after(self(before(x)))

    def plain_forward(self, x: Tensor) -> Tensor:
        """The plain PyTorch expression: the reference for the fast implementations."""
        height, width = x.shape[2:]
        profiles = []
        if 'h' in self.axes:
            profiles.append(nn.functional.adaptive_avg_pool2d(x, (height, 1)))
        if 'w' in self.axes:
            along_width = nn.functional.adaptive_avg_pool2d(x, (1, width))
            profiles.append(along_width.permute(0, 1, 3, 2))
        # One batch norm sees both profiles, so they are normalised together.
        y = self.act(self.bn1(self.conv1(torch.cat(profiles, dim=2))))
        out = x
        if 'w' in self.axes:
            out = out * self.gate(self.conv_w(y[:, :, -width:].permute(0, 1, 3, 2)))
        if 'h' in self.axes:
            out = out * self.gate(self.conv_h(y[:, :, :height]))
        return out
