from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import ASPPHead

from mmca.options import check_at_least, suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class DeepLabV3Head(ASPPHead):
    """DeepLabV3 (Chen et al., 2017, Sec. 3.3) with the 1x1 fusion of the paper.

    mmseg's :class:`ASPPHead` fuses the pyramid with a 3x3 convolution, which alone costs
    2.95 M parameters; with 1x1 a MobileNetV2 model has the 4.5 M of the CA paper's tables.

    Args:
        dilations (tuple[int]): Rates of the pyramid, 1 meaning a 1x1 convolution.
            ``(1, 6, 12, 18)`` at output stride 16, doubled at 8.
        **kwargs: Options of mmseg's ``BaseDecodeHead``.

    Shape:
        Features (N, in_channels, H, W); logits (N, num_classes, H, W).

    Raises:
        ValueError: If there are no rates, or one below 1.
    """

    def __init__(self, dilations: tuple = (1, 6, 12, 18), **kwargs) -> None:
        check_at_least('DeepLabV3Head', 'number of dilations', len(dilations), 1)
        for dilation in dilations:
            check_at_least('DeepLabV3Head', 'dilations', dilation, 1)
        super().__init__(dilations=dilations, **kwargs)
        self.bottleneck = ConvModule(
            (len(dilations) + 1) * self.channels,
            self.channels,
            1,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )
