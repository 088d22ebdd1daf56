from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmca.models.backbones.mobilenet_v2 import InvertedResidual
from mmca.options import check_at_least, check_choice, suggest_options
from mmca.registry import MODELS


def _inverted_residual(in_channels, out_channels, hidden_ratio, **conv) -> nn.Module:
    return InvertedResidual(
        in_channels,
        out_channels,
        stride=2,
        dilation=1,
        expand_ratio=hidden_ratio,
        attention=None,
        with_cp=False,
        **conv,
    )


def _sandglass(in_channels, out_channels, hidden_ratio, norm_cfg, act_cfg) -> nn.Module:
    hidden = int(in_channels * hidden_ratio)
    conv = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
    return nn.Sequential(
        ConvModule(in_channels, in_channels, 3, stride=2, padding=1, groups=in_channels, **conv),
        ConvModule(in_channels, hidden, 1, norm_cfg=norm_cfg, act_cfg=None),
        ConvModule(hidden, out_channels, 1, **conv),
    )


_BLOCKS = {'inverted_residual': _inverted_residual, 'sandglass': _sandglass}


@MODELS.register_module()
@suggest_options
class SSDLiteNeck(BaseModule):
    """The extra layers of SSDLite320, as in the CA authors' *ssdlite-pytorch-mobilenext*.

    Each layer halves the size of the one before it; the first takes the backbone's last output.

    Args:
        in_channels (int): Channels of the backbone's last output.
        out_channels (Sequence[int]): Channels of each extra layer.
        hidden_ratios (Sequence[float]): Hidden channels of each extra layer over its input's.
        block (str): ``'inverted_residual'``, the authors' choice for MobileNetV2 (1x1,
            depthwise, linear 1x1), or ``'sandglass'``, for MobileNeXt (depthwise, linear 1x1,
            1x1).
        num_input_levels (int): How many of the inputs, from the first, are levels for the head.
            The last input feeds the extra layers in any case: MobileNeXt's is not a level
            itself.
        norm_cfg (dict): Normalisation.
        act_cfg (dict): Activation.
        init_cfg (dict | list | None): Initialisation; default: Kaiming (fan out).

    Shape:
        Input: a tuple of (N, C_i, H_i, W_i); output: its first ``num_input_levels``, then one
        (N, out_channels[j], ceil(H / 2**(j + 1)), ...) for each extra layer.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: Sequence[int] = (512, 256, 256, 64),
        hidden_ratios: Sequence[float] = (0.2, 0.5, 0.5, 0.5),
        block: str = 'inverted_residual',
        num_input_levels: int = 2,
        norm_cfg: dict = dict(type='BN'),
        act_cfg: dict = dict(type='ReLU6'),
        init_cfg: dict | list | None = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = [
                dict(type='Kaiming', layer='Conv2d'),
                dict(type='Constant', layer='_BatchNorm', val=1),
            ]
        super().__init__(init_cfg)
        check_choice('SSDLiteNeck', 'block', block, tuple(_BLOCKS))
        check_at_least('SSDLiteNeck', 'num_input_levels', num_input_levels, 1)
        if len(out_channels) != len(hidden_ratios):
            raise ValueError(
                f'SSDLiteNeck: {len(out_channels)} out_channels but {len(hidden_ratios)} '
                'hidden_ratios; give one of each for each extra layer'
            )
        self.num_input_levels = num_input_levels
        self.extra_layers = nn.ModuleList()
        for channels, ratio in zip(out_channels, hidden_ratios):
            self.extra_layers.append(
                _BLOCKS[block](in_channels, channels, ratio, norm_cfg=norm_cfg, act_cfg=act_cfg)
            )
            in_channels = channels

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        levels = list(inputs[: self.num_input_levels])
        x = inputs[-1]
        for layer in self.extra_layers:
            x = layer(x)
            levels.append(x)
        return tuple(levels)
