from collections.abc import Sequence

from mmca.models.backbones.mobilenet_v2 import InvertedResidual
from mmca.models.backbones.staged_backbone import StagedBackbone
from mmca.options import suggest_options
from mmca.registry import MODELS


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

    # expand ratio, channels, blocks, stride
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
    ) -> InvertedResidual:
        return InvertedResidual(
            self.channels,
            out_channels,
            stride,
            dilation,
            self.arch_settings[stage][0],
            self.attention_cfg,
            with_cp=self.with_cp,
            attention_position=self.attention_position,
            linear=False,
            **self.conv_cfg,
        )
