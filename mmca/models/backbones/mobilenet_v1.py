from collections.abc import Sequence

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmca.models.backbones.residual_block import ResidualBlock, build_attention
from mmca.models.backbones.staged_backbone import StagedBackbone
from mmca.options import suggest_options
from mmca.registry import MODELS


class DepthwiseSeparable(ResidualBlock):
    """Depthwise separable convolution of MobileNetV1 (Howard et al., 2017, Fig. 3).

    The attention sits between the two convolutions, as in :class:`InvertedResidual`.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        stride (int): Stride of the depthwise convolution.
        dilation (int): Dilation of the depthwise convolution.
        attention (dict | None): Config of the attention.
        with_cp (bool): Recompute the block in backward to save memory.
        **conv: Kind, normalisation and activation of the convolutions.

    Shape:
        Input (N, in_channels, H, W); output (N, out_channels, ceil(H / stride), ...).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        dilation: int,
        attention: dict | None,
        with_cp: bool,
        **conv: dict | None,
    ) -> None:
        super().__init__(with_cp)
        self.depthwise_conv = ConvModule(
            in_channels, in_channels, 3, stride, dilation, dilation, groups=in_channels, **conv
        )
        self.attention = build_attention(attention, in_channels)
        self.project_conv = ConvModule(in_channels, out_channels, 1, **conv)
        self.declare_fusion()

    def around_attention(self) -> tuple[nn.Module, ...]:
        return self.depthwise_conv, self.project_conv

    def run(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Never fused: an activation follows the projection.
        return x, self.project_conv(self.attention(self.depthwise_conv(x)))


@MODELS.register_module()
@suggest_options
class MobileNetV1(StagedBackbone):
    """MobileNetV1 (Howard et al., 2017, Table 1), of which an attention may be a part.

    It computes what timm's ``mobilenetv1_100`` computes. Modules: ``conv1``, ``layer1`` ...
    ``layer5``.

    Args:
        attention (dict | None): As in :class:`StagedBackbone`; None in the original.
        widen_factor (float): Width multiplier.
        out_indices (Sequence[int]): Outputs, of 0-4.
        **kwargs: Options of :class:`StagedBackbone`; its 5 layers are ``layer1`` to ``layer5``,
            with 64, 128, 256, 512 and 1024 channels at width 1.

    Shape:
        As :class:`StagedBackbone`.

    Raises:
        ValueError: If an option is out of range.
    """

    # The ratio of hidden channels has no meaning here.
    arch_settings = ((1, 64, 1, 1), (1, 128, 2, 2), (1, 256, 2, 2), (1, 512, 6, 2), (1, 1024, 2, 2))
    num_layers = 5

    def __init__(
        self,
        attention: dict | None = None,
        widen_factor: float = 1.0,
        out_indices: Sequence[int] = (4,),
        **kwargs,
    ) -> None:
        super().__init__(attention, widen_factor, out_indices, **kwargs)

    def make_block(
        self, stage: int, number: int, out_channels: int, stride: int, dilation: int
    ) -> DepthwiseSeparable:
        return DepthwiseSeparable(
            self.channels,
            out_channels,
            stride,
            dilation,
            self.attention_cfg,
            with_cp=self.with_cp,
            **self.conv_cfg,
        )
