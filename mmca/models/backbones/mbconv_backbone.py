from mmca.models.backbones.mobilenet_v2 import InvertedResidual
from mmca.models.backbones.staged_backbone import StagedBackbone


class MBConvBackbone(StagedBackbone):
    """Stages of inverted residuals with kernels of several sizes, and ``conv2``: see subclasses.

    Args:
        attention (dict | None): As in :class:`StagedBackbone`. Its ``reduction`` is that of blocks
            that expand by 6. Others take it in proportion, as the squeeze-excitation of these
            networks does: all squeeze to the same share of the block's input.
        drop_path_rate (float): Probability with which a sample skips a block while training,
            growing from 0 at the first block.
        **kwargs: Options of :class:`StagedBackbone`; output 7 of ``out_indices`` is ``conv2``.

    Raises:
        ValueError: If an option is out of range.
    """

    kernel_sizes: tuple[int, ...]  # of the depthwise convolutions of each stage
    attended: tuple[int, ...]  # the stages, from 0, whose blocks have an attention

    def __init__(
        self,
        attention: dict | None = None,
        *args,
        drop_path_rate: float = 0.0,
        **kwargs,
    ) -> None:
        if not 0 <= drop_path_rate < 1:
            name = type(self).__name__
            raise ValueError(f'{name}: drop_path_rate={drop_path_rate} must be in [0, 1)')
        self.drop_path_rate = drop_path_rate
        super().__init__(attention, *args, **kwargs)
        self.add_last_conv()

    def make_block(
        self, stage: int, number: int, out_channels: int, stride: int, dilation: int
    ) -> InvertedResidual:
        expand_ratio = self.arch_settings[stage][0]
        counts = [count for _, _, count, _ in self.arch_settings]
        attention = self.attention_cfg if stage in self.attended else None
        if attention and 'reduction' in attention:
            reduction = attention['reduction'] * expand_ratio // 6
            attention = dict(attention, reduction=max(1, reduction))
        return InvertedResidual(
            self.channels,
            out_channels,
            stride,
            dilation,
            expand_ratio,
            attention,
            with_cp=self.with_cp,
            attention_position=self.attention_position,
            kernel_size=self.kernel_sizes[stage],
            drop_path_rate=self.drop_path_rate * (sum(counts[:stage]) + number) / sum(counts),
            **self.conv_cfg,
        )
