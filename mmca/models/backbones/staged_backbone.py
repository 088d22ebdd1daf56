from collections.abc import Sequence
from functools import partial

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmca.checkpoint import CheckpointError, load_backbone, pretrained_of
from mmca.models.backbones.dilation import block_geometry
from mmca.models.backbones.insertion import insert_attention
from mmca.models.backbones.residual_block import POSITIONS, default_position
from mmca.options import check_choice

NUM_LAYERS = 8


def scale_channels(channels: int, widen_factor: float, divisor: int = 8) -> int:
    """Width-scaled channels, rounded as in MobileNetV2: to ``divisor``, never down by over 10%."""
    scaled = channels * widen_factor
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


class StagedBackbone(BaseModule):
    """A stem ``conv1`` and stages of residual blocks, ``layer1``, ``layer2``, ...: see subclasses.

    Args:
        attention (dict | None): Config of the attention of each block, for example
            ``dict(type='mmca.CoordinateAttention', reduction=32)``; it is built with the
            channels at its place as ``in_channels``. None for the plain network.
        widen_factor (float): Width multiplier.
        out_indices (Sequence[int]): Outputs, of 0-7.
        output_stride (int): 32, 16 or 8: input size over the size of the deepest features.
            A removed stride dilates every later depthwise convolution (DeepLab's rule).
        strides (Sequence[int] | None): Stride of each stage, given together with
            ``dilations`` in place of ``output_stride``.
        dilations (Sequence[int] | None): Dilation of each stage. The first block of a stage
            keeps the dilation of the stage before it.
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
        conv_cfg (dict | None): Kind of the convolutions; default: PyTorch's.
            ``dict(type='Conv2dAdaptivePadding')`` pads as TensorFlow does.
        insert_attention (bool): The checkpoint is the plain network's, and the attention is
            inserted so that the outputs stay the same: :mod:`mmca.models.backbones.insertion`.
        attention_position (str | None): Place of the attention in its block: ``'before_norm'``,
            between the depthwise convolution and its norm; ``'before_projection'``; or
            ``'after_projection'``, on the output before the shortcut. None: where the attention's
            authors put it, of coordinate attention before the projection.

    Raises:
        ValueError: If an option is out of range.
    """

    # One row a stage: ratio of the hidden channels, channels, blocks, stride.
    arch_settings: tuple[tuple[int, int, int, int], ...]
    # Places of an attention, with the names that they have here.
    attention_positions = {position: position for position in POSITIONS}

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
        insert_attention: bool = False,
        attention_position: str | None = None,
        conv_cfg: dict | None = None,
    ) -> None:
        # mmengine's own initialiser would skip keys that do not match.
        pretrained, init_cfg = pretrained_of(init_cfg, pretrained)
        if init_cfg is None:
            init_cfg = [
                dict(type='Kaiming', layer='Conv2d'),
                dict(type='Constant', layer='_BatchNorm', val=1),
            ]
        super().__init__(init_cfg)
        name = type(self).__name__
        if widen_factor <= 0:
            raise ValueError(f'{name}: widen_factor={widen_factor} must be above 0')
        if not out_indices:
            raise ValueError(f'{name}: out_indices is empty')
        for index in out_indices:
            check_choice(name, 'out_indices', index, tuple(range(NUM_LAYERS)))
        if insert_attention and attention is None:
            raise ValueError(f'{name}: insert_attention=True, but there is no attention to insert')
        check_choice(name, 'frozen_stages', frozen_stages, tuple(range(-1, NUM_LAYERS + 1)))
        if attention_position is None:
            attention_position = self.attention_positions[default_position(attention)]
        places = tuple(self.attention_positions.values())
        check_choice(name, 'attention_position', attention_position, places)
        self.attention_cfg = attention
        self.attention_position = attention_position
        self.widen_factor = widen_factor
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self.conv_cfg = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.pretrained = pretrained
        self.insert_attention = insert_attention

        self.channels = scale_channels(32, widen_factor)
        self.conv1 = ConvModule(3, self.channels, 3, stride=2, padding=1, **self.conv_cfg)
        self.layers = []
        _, _, blocks, native_strides = zip(*self.arch_settings)
        geometry = block_geometry(native_strides, blocks, output_stride, strides, dilations)
        for stage, places in enumerate(geometry):
            layer, out_channels = nn.Sequential(), self.stage_channels(stage)
            for number, (stride, dilation) in enumerate(places):
                layer.append(self.make_block(stage, number, out_channels, stride, dilation))
                self.channels = out_channels
            self.layers.append(f'layer{stage + 1}')
            self.add_module(self.layers[-1], layer)

    def stage_channels(self, stage: int) -> int:
        """Channels that a stage, counted from 0, gives out."""
        return scale_channels(self.arch_settings[stage][1], self.widen_factor)

    def make_block(
        self, stage: int, number: int, out_channels: int, stride: int, dilation: int
    ) -> nn.Module:
        """Block ``number`` of a stage, both counted from 0, on ``self.channels`` channels."""
        raise NotImplementedError

    def add_last_conv(self) -> None:
        """Append the 1280-channel layer ``conv2`` to seven stages, if it is an output."""
        if 7 in self.out_indices:
            channels = scale_channels(1280, max(1.0, self.widen_factor))
            self.conv2 = ConvModule(self.channels, channels, 1, **self.conv_cfg)
            self.layers.append('conv2')

    def init_weights(self) -> None:
        super().init_weights()
        for block in self.modules():
            # An attention may know a better start; mmengine does not look inside Sequential.
            if hasattr(getattr(block, 'attention', None), 'init_weights'):
                block.attention.init_weights()
        if self.pretrained is not None:
            insert = partial(insert_attention, model=self) if self.insert_attention else None
            load_backbone(self, *self.pretrained, insert=insert)
        elif self.insert_attention:
            raise CheckpointError(
                'insert_attention=True, but no plain weights are named into which the attention '
                'would be inserted: set model.backbone.pretrained=PATH'
            )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.conv1(x)
        outs = []
        for i, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def train(self, mode: bool = True) -> 'StagedBackbone':
        super().train(mode)
        if self.frozen_stages >= 0:
            for name in ['conv1', *self.layers[: self.frozen_stages]]:
                getattr(self, name).eval().requires_grad_(False)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
