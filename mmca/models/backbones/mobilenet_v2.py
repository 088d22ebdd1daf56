from collections.abc import Sequence

from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmca.models.backbones.dilation import block_geometry
from mmca.models.backbones.staged_backbone import (
    StagedBackbone,
    attend_between,
    scale_channels,
)
from mmca.options import suggest_options
from mmca.registry import MODELS


class InvertedResidual(nn.Module):
    """Inverted residual of MobileNetV2 (Sandler et al., CVPR 2018, Table 1).

    The attention sits after the depthwise convolution and before the projection, as in
    Fig. 3(a) of the CA paper.

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
    ) -> None:
        super().__init__()
        hidden = round(in_channels * expand_ratio)
        self.with_cp = with_cp
        self.has_shortcut = stride == 1 and in_channels == out_channels
        if expand_ratio != 1:
            self.expand_conv = ConvModule(
                in_channels, hidden, 1, norm_cfg=norm_cfg, act_cfg=act_cfg
            )
        self.depthwise_conv = ConvModule(
            hidden,
            hidden,
            3,
            stride=stride,
            padding=dilation,
            dilation=dilation,
            groups=hidden,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )
        if attention is not None:
            self.attention = MODELS.build(attention, default_args=dict(in_channels=hidden))
        self.project_conv = ConvModule(hidden, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None)

    def _forward(self, x: Tensor) -> Tensor:
        out = self.expand_conv(x) if hasattr(self, 'expand_conv') else x
        attention = getattr(self, 'attention', None)
        out = attend_between(attention, self.depthwise_conv, out, self.project_conv)
        return x + out if self.has_shortcut else out

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            return checkpoint(self._forward, x, use_reentrant=False)
        return self._forward(x)


@MODELS.register_module()
@suggest_options
class MobileNetV2(StagedBackbone):
    """MobileNetV2 (Sandler et al., CVPR 2018, Table 2) with an attention in its blocks.

    As in the CA authors' code, every inverted residual but the first, whose expand ratio
    is 1, carries the attention. Without attention it computes what torchvision's
    ``mobilenet_v2`` computes. Modules: ``conv1``, ``layer1`` ... ``layer7``, and ``conv2``,
    the 1280-channel layer, which exists only if ``out_indices`` asks for it.

    Args:
        attention (dict | None): Config of the attention of each block, for example
            ``dict(type='mmca.CoordinateAttention', reduction=32)``; it is built with the
            block's hidden width as ``in_channels``. None for the plain network.
        widen_factor (float): Width multiplier.
        out_indices (Sequence[int]): Outputs, of 0-6 (``layer1``-``layer7``: 16, 24, 32, 64,
            96, 160, 320 channels at width 1) and 7 (``conv2``: 1280 channels).
        output_stride (int): 32, 16 or 8: input size over the size of the deepest features.
            A removed stride dilates every later depthwise convolution (DeepLab's rule).
        strides (Sequence[int] | None): Stride of each of the 7 layers, given together with
            ``dilations`` in place of ``output_stride``.
        dilations (Sequence[int] | None): Dilation of each of the 7 layers. The first block
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

    def __init__(
        self,
        attention: dict | None = None,
        widen_factor: float = 1.0,
        out_indices: Sequence[int] = (7,),
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
        _, _, blocks, native_strides = zip(*self.arch_settings)
        geometry = block_geometry(native_strides, blocks, output_stride, strides, dilations)

        conv = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        channels = scale_channels(32, widen_factor)
        self.conv1 = ConvModule(3, channels, 3, stride=2, padding=1, **conv)
        for i, (expand_ratio, width, _, _) in enumerate(self.arch_settings):
            layer = nn.Sequential()
            for stride, dilation in geometry[i]:
                out_channels = scale_channels(width, widen_factor)
                layer.append(
                    InvertedResidual(
                        channels,
                        out_channels,
                        stride,
                        dilation,
                        expand_ratio,
                        attention if expand_ratio != 1 else None,
                        with_cp=with_cp,
                        **conv,
                    )
                )
                channels = out_channels
            self.layers.append(f'layer{i + 1}')
            self.add_module(self.layers[-1], layer)
        if 7 in self.out_indices:
            self.conv2 = ConvModule(
                channels, scale_channels(1280, max(1.0, widen_factor)), 1, **conv
            )
            self.layers.append('conv2')
