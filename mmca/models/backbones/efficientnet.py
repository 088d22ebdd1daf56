from mmca.models.backbones.mobilenet_v2 import InvertedResidual
from mmca.models.backbones.staged_backbone import StagedBackbone
from mmca.options import suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class EfficientNet(StagedBackbone):
    """EfficientNet-B0 (Tan and Le, ICML 2019, Table 1) with an attention in all of its 16 blocks.

    The attention stands where the original has squeeze-excitation, which is
    ``dict(type='mmca.SqueezeExcitation', reduction=24, act_cfg=dict(type='SiLU'))``: with it the
    network computes what torchvision's and timm's ``efficientnet_b0`` compute, and, with
    ``conv_cfg=dict(type='Conv2dAdaptivePadding')`` and ``norm_cfg=dict(type='BN', eps=1e-3)``,
    what mmpretrain's ``EfficientNet`` does. Modules: ``conv1``, ``layer1`` ... ``layer7``, and
    ``conv2``, the 1280-channel layer, which exists only if ``out_indices`` asks for it.

    Args:
        attention (dict | None): As in :class:`StagedBackbone`. Its ``reduction`` is that of the
            blocks that expand by 6. The first block does not expand and takes a sixth of it, as in
            the original: both then squeeze to the same share of the block's input.
        drop_path_rate (float): Probability with which a sample skips a block while training,
            growing from 0 at the first block; 0.2 in the original.
        act_cfg (dict): Activation of the convolutions.
        **kwargs: Options of :class:`StagedBackbone`; its 7 layers are ``layer1`` to ``layer7``,
            with 16, 24, 40, 80, 112, 192 and 320 channels at width 1, and output 7 of
            ``out_indices`` is ``conv2``: 1280 channels.

    Shape:
        Input (N, 3, H, W); output: a tuple with one (N, C_i, H_i, W_i) for each index.

    Raises:
        ValueError: If an option is out of range.
    """

    # expand ratio, channels, blocks, stride
    arch_settings = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 40, 2, 2),
        (6, 80, 3, 2),
        (6, 112, 3, 1),
        (6, 192, 4, 2),
        (6, 320, 1, 1),
    )
    kernel_sizes = (3, 3, 5, 3, 5, 5, 3)

    def __init__(
        self,
        attention: dict | None = None,
        *args,
        drop_path_rate: float = 0.0,
        act_cfg: dict = dict(type='SiLU'),
        **kwargs,
    ) -> None:
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f'EfficientNet: drop_path_rate={drop_path_rate} must be in [0, 1)')
        self.drop_path_rate = drop_path_rate
        super().__init__(attention, *args, act_cfg=act_cfg, **kwargs)
        self.add_last_conv()

    def make_block(
        self, stage: int, number: int, out_channels: int, stride: int, dilation: int
    ) -> InvertedResidual:
        expand_ratio = self.arch_settings[stage][0]
        counts = [count for _, _, count, _ in self.arch_settings]
        attention = self.attention_cfg
        if attention and 'reduction' in attention and expand_ratio == 1:
            attention = dict(attention, reduction=max(1, attention['reduction'] // 6))
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
