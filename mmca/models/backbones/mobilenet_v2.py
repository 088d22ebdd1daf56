from mmcv.cnn import ConvModule
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from mmca.models.backbones.residual_block import ResidualBlock, build_attention
from mmca.models.backbones.staged_backbone import StagedBackbone
from mmca.options import suggest_options
from mmca.registry import MODELS


class InvertedResidual(ResidualBlock):
    """Inverted residual of MobileNetV2 (Sandler et al., CVPR 2018, Table 1).

    The attention sits after the depthwise convolution and before the projection, as in
    Fig. 3(a) of the CA paper, or at another place of
    :data:`~mmca.models.backbones.residual_block.POSITIONS`.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        stride (int): Stride of the depthwise convolution.
        dilation (int): Dilation of the depthwise convolution.
        expand_ratio (float): Hidden channels over ``in_channels``; 1 drops the expansion.
        attention (dict | None): Config of the attention.
        norm_cfg (dict): Normalisation.
        act_cfg (dict): Activation.
        with_cp (bool): Recompute the block in backward to save memory.
        attention_position (str): Place of the attention.
        conv_cfg (dict | None): Kind of the convolutions; default: PyTorch's.
        kernel_size (int): Odd kernel size of the depthwise convolution.
        drop_path_rate (float): Probability with which a sample skips the block while training,
            if the block has a shortcut.

    Shape:
        Input (N, in_channels, H, W); output (N, out_channels, ceil(H / stride), ...).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        dilation: int,
        expand_ratio: float,
        attention: dict | None,
        norm_cfg: dict,
        act_cfg: dict,
        with_cp: bool,
        attention_position: str = 'before_projection',
        conv_cfg: dict | None = None,
        kernel_size: int = 3,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__(with_cp)
        hidden = round(in_channels * expand_ratio)
        conv = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.has_shortcut = stride == 1 and in_channels == out_channels
        self.expand_conv = nn.Identity()
        if expand_ratio != 1:
            self.expand_conv = ConvModule(in_channels, hidden, 1, **conv)
        padding = kernel_size // 2 * dilation
        self.depthwise_conv = ConvModule(
            hidden, hidden, kernel_size, stride, padding, dilation, groups=hidden, **conv
        )
        self.attention_position = attention_position
        if attention_position != 'after_projection':
            self.attention = build_attention(attention, hidden)
        self.project_conv = ConvModule(hidden, out_channels, 1, **(conv | dict(act_cfg=None)))
        if attention_position == 'after_projection':
            self.attention = build_attention(attention, out_channels)
        drops = drop_path_rate > 0 and self.has_shortcut
        self.drop_path = DropPath(drop_path_rate) if drops else nn.Identity()
        self.declare_fusion()

    def around_attention(self) -> tuple[nn.Module, ...]:
        if self.attention_position == 'before_projection':
            return self.depthwise_conv, self.project_conv
        return (self.project_conv,) if self.attention_position == 'after_projection' else ()

    def run(self, x: Tensor) -> Tensor:
        expanded = self.expand_conv(x)
        if self.attention_position == 'before_projection':
            out = self.attend(expanded)  # depthwise convolution, attention, projection
        elif self.attention_position == 'after_projection':
            out = self.attend(self.depthwise_conv(expanded))
        else:
            out = self.project_conv(self.attend_before_norm(self.depthwise_conv, expanded))
        return x + self.drop_path(out) if self.has_shortcut else out


@MODELS.register_module()
@suggest_options
class MobileNetV2(StagedBackbone):
    """MobileNetV2 (Sandler et al., CVPR 2018, Table 2) with an attention in its blocks.

    As in the CA authors' code, every inverted residual but the first, whose expand ratio
    is 1, carries the attention. Without attention it computes what torchvision's
    ``mobilenet_v2`` computes. Modules: ``conv1``, ``layer1`` ... ``layer7``, and ``conv2``,
    the 1280-channel layer, which exists only if ``out_indices`` asks for it.

    Args:
        *args, **kwargs: Options of :class:`StagedBackbone`; its 7 layers are ``layer1`` to
            ``layer7``, with 16, 24, 32, 64, 96, 160 and 320 channels at width 1, and output 7
            of ``out_indices`` is ``conv2``: 1280 channels.

    Shape:
        Input (N, 3, H, W); output: a tuple with one (N, C_i, H_i, W_i) for each index.

    Raises:
        ValueError: If an option is out of range.
    """

    # expand ratio, channels, blocks, stride
    arch_settings = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.add_last_conv()

    def make_block(
        self, stage: int, number: int, out_channels: int, stride: int, dilation: int
    ) -> InvertedResidual:
        expand_ratio = self.arch_settings[stage][0]
        return InvertedResidual(
            self.channels,
            out_channels,
            stride,
            dilation,
            expand_ratio,
            self.attention_cfg if expand_ratio != 1 else None,
            with_cp=self.with_cp,
            attention_position=self.attention_position,
            **self.conv_cfg,
        )
