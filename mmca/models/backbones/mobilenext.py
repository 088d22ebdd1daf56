import math
from collections.abc import Sequence

from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmca.models.backbones.dilation import block_geometry
from mmca.models.backbones.staged_backbone import (
    NUM_LAYERS,
    StagedBackbone,
    attend_between,
    scale_channels,
)
from mmca.options import check_choice, suggest_options
from mmca.registry import MODELS


class SandglassBlock(nn.Module):
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
            attention follows. A block without that convolution has none.
        norm_cfg (dict): Normalisation.
        act_cfg (dict): Activation.
        with_cp (bool): Recompute the block in backward to save memory.

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
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        same_shape = native_stride == 1 and in_channels == out_channels
        self.has_shortcut = same_shape and not keep_depthwise
        has_first = same_shape or keep_depthwise
        has_last = has_first or native_stride == 2
        self.attends_first = attention_position == 'first'
        hidden = in_channels // reduce_ratio
        if hidden < out_channels / 6:
            hidden = scale_channels(math.ceil(out_channels / 6), 1, divisor=16)
        depthwise = dict(kernel_size=3, padding=dilation, dilation=dilation, norm_cfg=norm_cfg)

        if has_first:
            self.depthwise_conv1 = ConvModule(
                in_channels, in_channels, groups=in_channels, act_cfg=act_cfg, **depthwise
            )
            if attention is not None and attention_position == 'first':
                self.attention = MODELS.build(attention, default_args=dict(in_channels=in_channels))
        self.reduce_conv = ConvModule(in_channels, hidden, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.expand_conv = ConvModule(hidden, out_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        if has_last:
            self.depthwise_conv2 = ConvModule(
                out_channels,
                out_channels,
                stride=stride,
                groups=out_channels,
                act_cfg=None,
                **depthwise,
            )
            if attention is not None and attention_position == 'last':
                self.attention = MODELS.build(
                    attention, default_args=dict(in_channels=out_channels)
                )

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = getattr(self, 'depthwise_conv1', None)
        attention = getattr(self, 'attention', None)
        leading = attention if self.attends_first else None
        out = attend_between(leading, first, x, self.reduce_conv)
        expanded = out = self.expand_conv(out)
        if hasattr(self, 'depthwise_conv2'):
            out = self.depthwise_conv2(out)
        if attention is not None and not self.attends_first:
            out = attention(out)
        return expanded, x + out if self.has_shortcut else out

    def forward_expanded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The expanded features before the second depthwise convolution, and the output."""
        if self.with_cp and x.requires_grad:
            return checkpoint(self._forward, x, use_reentrant=False)
        return self._forward(x)

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
        attention (dict | None): Config of the attention, for example
            ``dict(type='mmca.CoordinateAttention', reduction=24)``; it is built with the
            channels at its place as ``in_channels``. None for the plain network.
        attention_position (str): ``'first'`` or ``'last'`` depthwise convolution of a block,
            which the attention follows. Blocks without that convolution have no attention.
        widen_factor (float): Width multiplier. Below 1 the last layer keeps its 1280 channels.
        out_indices (Sequence[int]): Outputs, of 0-7 (``layer1``-``layer8``: 96, 144, 192, 288,
            384, 576, 960, 1280 channels at width 1).
        expanded_indices (Sequence[int]): Layers, by the same numbers, whose first block also
            hands out its expanded features, before its strided depthwise convolution; they
            come before that layer's output. SSDLite takes those of layer 5: 576 channels at
            stride 16.
        output_stride (int): 32, 16 or 8: input size over the size of the deepest features.
            A removed stride dilates every later depthwise convolution (DeepLab's rule).
        strides (Sequence[int] | None): Stride of each of the 8 layers, given together with
            ``dilations`` in place of ``output_stride``.
        dilations (Sequence[int] | None): Dilation of each of the 8 layers. The first block
            of a layer keeps the dilation of the layer before it.
        frozen_stages (int): Freeze the stem (0) and the layers up to this one; -1: nothing.
        norm_eval (bool): Keep batch norm in eval mode while training.
        with_cp (bool): Recompute blocks in backward to save memory.
        norm_cfg (dict): Normalisation of the convolutions. To synchronise it across GPUs,
            attention included, set ``sync_bn = 'torch'`` in the config.
        act_cfg (dict): Activation of the convolutions.
        pretrained (str | None): Checkpoint to start from: a classification or detection
            model's, or a backbone's alone. Loading is strict and happens in
            :meth:`init_weights`. ``init_cfg=dict(type='Pretrained', ...)`` means the same.
        init_cfg (dict | list | None): Initialisation; default: Kaiming (fan out).

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

    def __init__(
        self,
        attention: dict | None = None,
        attention_position: str = 'first',
        widen_factor: float = 1.0,
        out_indices: Sequence[int] = (7,),
        expanded_indices: Sequence[int] = (),
        output_stride: int = 32,
        strides: Sequence[int] | None = None,
        dilations: Sequence[int] | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        norm_cfg: dict = dict(type='BN'),
        act_cfg: dict = dict(type='ReLU6'),
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(widen_factor, out_indices, frozen_stages, norm_eval, pretrained, init_cfg)
        check_choice('MobileNeXt', 'attention_position', attention_position, ('first', 'last'))
        for index in expanded_indices:
            check_choice('MobileNeXt', 'expanded_indices', index, tuple(range(NUM_LAYERS)))
        self.expanded_indices = tuple(expanded_indices)
        _, _, blocks, native_strides = zip(*self.arch_settings)
        geometry = block_geometry(native_strides, blocks, output_stride, strides, dilations)

        conv = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        channels = scale_channels(32, widen_factor)
        self.conv1 = ConvModule(3, channels, 3, stride=2, padding=1, **conv)
        for i, (reduce_ratio, width, count, native_stride) in enumerate(self.arch_settings):
            layer = nn.Sequential()
            factor = max(1.0, widen_factor) if i == NUM_LAYERS - 1 else widen_factor
            out_channels = scale_channels(width, factor)
            for j, (stride, dilation) in enumerate(geometry[i]):
                layer.append(
                    SandglassBlock(
                        channels,
                        out_channels,
                        native_stride if j == 0 else 1,
                        stride,
                        dilation,
                        reduce_ratio,
                        # The authors' rule: the first layer, and those of one block at stride 1.
                        keep_depthwise=reduce_ratio == 2 or count == native_stride == 1,
                        attention=attention,
                        attention_position=attention_position,
                        with_cp=with_cp,
                        **conv,
                    )
                )
                channels = out_channels
            self.layers.append(f'layer{i + 1}')
            self.add_module(self.layers[-1], layer)

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
