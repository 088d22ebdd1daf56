import math
from collections.abc import Sequence

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmca.models.backbones.residual_block import ResidualBlock, build_attention
from mmca.models.backbones.staged_backbone import NUM_LAYERS, StagedBackbone, scale_channels
from mmca.options import check_choice, suggest_options
from mmca.registry import MODELS


class SandglassBlock(ResidualBlock):
    """Sandglass block of MobileNeXt (Zhou et al., ECCV 2020, Fig. 3), as in its authors' code.

    A depthwise convolution on the wide input, reduction, expansion, and a second depthwise
    convolution, which takes the stride. Where the width changes, a block lacks its first
    depthwise convolution, and with stride 1 the second, too, unless ``keep_depthwise``.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        native_stride (int): Stride at output stride 32; it decides the form of the block.
        stride (int): Stride of the second depthwise convolution.
        dilation (int): Dilation of the depthwise convolutions.
        reduce_ratio (int): ``in_channels`` over the channels between the 1x1 convolutions,
            which are at least a sixth of ``out_channels``.
        keep_depthwise (bool): Keep both depthwise convolutions; the block has no shortcut.
        attention (dict | None): Config of the attention.
        attention_position (str): ``'first'`` or ``'last'`` depthwise convolution, which the
            attention follows, or ``'before_norm'``, of the first one. A block without that
            convolution has none.
        norm_cfg (dict): Normalisation.
        act_cfg (dict): Activation.
        with_cp (bool): Recompute the block in backward to save memory.
        conv_cfg (dict | None): Kind of the convolutions; default: PyTorch's.

    Shape:
        Input (N, in_channels, H, W); output (N, out_channels, ceil(H / stride), ...).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        native_stride: int,
        stride: int,
        dilation: int,
        reduce_ratio: int,
        keep_depthwise: bool,
        attention: dict | None,
        attention_position: str,
        norm_cfg: dict,
        act_cfg: dict,
        with_cp: bool,
        conv_cfg: dict | None = None,
    ) -> None:
        super().__init__(with_cp)
        same_shape = native_stride == 1 and in_channels == out_channels
        self.has_shortcut = same_shape and not keep_depthwise
        self.has_first = has_first = same_shape or keep_depthwise
        has_last = has_first or native_stride == 2
        hidden = in_channels // reduce_ratio
        if hidden < out_channels / 6:
            hidden = scale_channels(math.ceil(out_channels / 6), 1, divisor=16)
        conv = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        linear = conv | dict(act_cfg=None)
        depthwise = dict(kernel_size=3, padding=dilation, dilation=dilation)

        self.attention_position = attention_position
        self.depthwise_conv1 = nn.Identity()
        if has_first:
            self.depthwise_conv1 = ConvModule(
                in_channels, in_channels, groups=in_channels, **depthwise, **conv
            )
        if attention_position != 'last':
            self.attention = build_attention(attention if has_first else None, in_channels)
        self.reduce_conv = ConvModule(in_channels, hidden, 1, **linear)
        self.expand_conv = ConvModule(hidden, out_channels, 1, **conv)
        self.depthwise_conv2 = nn.Identity()
        if has_last:
            self.depthwise_conv2 = ConvModule(
                out_channels,
                out_channels,
                stride=stride,
                groups=out_channels,
                **depthwise,
                **linear,
            )
        if attention_position == 'last':
            self.attention = build_attention(attention if has_last else None, out_channels)
        self.declare_fusion()

    def around_attention(self) -> tuple[nn.Module, ...]:
        if self.attention_position == 'first':
            return self.depthwise_conv1, self.reduce_conv
        return (self.depthwise_conv2,) if self.attention_position == 'last' else ()

    def run(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.attention_position == 'first':
            out = self.attend(x)  # first depthwise convolution, attention, reduction
        elif self.attention_position == 'before_norm' and self.has_first:
            out = self.reduce_conv(self.attend_before_norm(self.depthwise_conv1, x))
        else:
            out = self.reduce_conv(self.depthwise_conv1(x))
        expanded = self.expand_conv(out)
        is_last = self.attention_position == 'last'
        out = self.attend(expanded) if is_last else self.depthwise_conv2(expanded)
        return expanded, x + out if self.has_shortcut else out

    def forward_expanded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The expanded features before the second depthwise convolution, and the output."""
        return super().forward(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_expanded(x)[1]


@MODELS.register_module()
@suggest_options
class MobileNeXt(StagedBackbone):
    """MobileNeXt (Zhou et al., ECCV 2020, Table 2) with an attention in its sandglass blocks.

    Without attention it computes what the authors' code computes. Modules: ``conv1`` and
    ``layer1`` ... ``layer8``.

    The CA paper's figure and its README put the attention after the first depthwise
    convolution of a block; with a reduction of 24 the network then has 4.108 M parameters.
    The published 4.09 M fits the place after the last one better (reduction 32: 4.088 M). The
    authors publish no code for it.

    Args:
        attention (dict | None): As in :class:`StagedBackbone`, built for the channels at its place.
        attention_position (str | None): ``'first'`` or ``'last'`` depthwise convolution of a block,
            which the attention follows, or ``'before_norm'``: before the norm of the first. Blocks
            without that convolution have no attention. None: where the attention's authors put it,
            'first' standing for before the projection and 'last' for after it.
        expanded_indices (Sequence[int]): Layers, by the numbers of ``out_indices``, whose first
            block also hands out its expanded features, before its strided depthwise convolution;
            they come before that layer's output. SSDLite takes those of layer 5: 576 channels at
            stride 16.
        **kwargs: Options of :class:`StagedBackbone`; its 8 layers are ``layer1`` to ``layer8``,
            with 96, 144, 192, 288, 384, 576, 960 and 1280 channels at width 1. Below width 1 the
            last keeps its 1280.

    Shape:
        Input (N, 3, H, W); output: a tuple with one (N, C_i, H_i, W_i) for each of
        ``expanded_indices`` and ``out_indices``, in the order of depth.

    Raises:
        ValueError: If an option is out of range.
    """

    # reduction, channels, blocks, stride
    arch_settings = (
        (2, 96, 1, 2),
        (6, 144, 1, 1),
        (6, 192, 3, 2),
        (6, 288, 3, 2),
        (6, 384, 4, 1),
        (6, 576, 4, 2),
        (6, 960, 3, 1),
        (6, 1280, 1, 1),
    )
    attention_positions = {
        'before_norm': 'before_norm',
        'before_projection': 'first',
        'after_projection': 'last',
    }

    def __init__(
        self,
        attention: dict | None = None,
        attention_position: str | None = None,
        *args,
        expanded_indices: Sequence[int] = (),
        **kwargs,
    ) -> None:
        for index in expanded_indices:
            check_choice('MobileNeXt', 'expanded_indices', index, tuple(range(NUM_LAYERS)))
        super().__init__(attention, *args, attention_position=attention_position, **kwargs)
        self.expanded_indices = tuple(expanded_indices)

    def stage_channels(self, stage: int) -> int:
        if stage == NUM_LAYERS - 1:
            return scale_channels(self.arch_settings[stage][1], max(1.0, self.widen_factor))
        return super().stage_channels(stage)

    def make_block(
        self, stage: int, number: int, out_channels: int, stride: int, dilation: int
    ) -> SandglassBlock:
        reduce_ratio, _, count, native_stride = self.arch_settings[stage]
        return SandglassBlock(
            self.channels,
            out_channels,
            native_stride if number == 0 else 1,
            stride,
            dilation,
            reduce_ratio,
            # The authors' rule: the first layer, and those of one block at stride 1.
            keep_depthwise=reduce_ratio == 2 or count == native_stride == 1,
            attention=self.attention_cfg,
            attention_position=self.attention_position,
            with_cp=self.with_cp,
            **self.conv_cfg,
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.conv1(x)
        outs = []
        for i, name in enumerate(self.layers):
            first, *others = getattr(self, name)
            expanded, x = first.forward_expanded(x)
            if i in self.expanded_indices:
                outs.append(expanded)
            for block in others:
                x = block(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)
