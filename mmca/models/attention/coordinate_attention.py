from mmcv.cnn import build_activation_layer, build_norm_layer

from mmca.ops.attention import CoordinateAttentionLayer
from mmca.options import check_at_least, check_choice, suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class CoordinateAttention(CoordinateAttentionLayer):
    """Coordinate attention, Hou et al., CVPR 2021, Sec. 3.2 and Fig. 2(c).

    The map is averaged along its width and along its height, both profiles pass one shared
    1x1 convolution, and each then gives a gate: ``y = x * gate_w * gate_h``. Parameters and
    their names are those of the authors' code (``conv1``, ``bn1``, ``conv_h``, ``conv_w``). The
    formula stands in :mod:`mmca.ops.reference`; :mod:`mmca.ops.implementation` says what runs.

    Args:
        in_channels (int): Channels C of the input and the output.
        reduction (int): The shared convolution has ``max(min_channels, C // reduction)``
            channels. The paper uses 32 with MobileNetV2 and 24 with MobileNeXt.
        axes (str): ``'hw'``; or one direction only, the paper's ablation (Table 1):
            ``'h'`` keeps the gate that varies along the height (Y attention), ``'w'`` the
            one that varies along the width (X attention).
        min_channels (int): Least channels of the shared convolution.
        norm_cfg (dict): Normalisation after the shared convolution.
        act_cfg (dict): Activation after it. The authors use h-swish.
        gate_cfg (dict): Activation that makes the gates.

    Shape:
        Input (N, C, H, W), any H, W >= 1; output the same.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int = 32,
        axes: str = 'hw',
        min_channels: int = 8,
        norm_cfg: dict = dict(type='BN'),
        act_cfg: dict = dict(type='HSwish'),
        gate_cfg: dict = dict(type='Sigmoid'),
    ) -> None:
        check_at_least('CoordinateAttention', 'in_channels', in_channels, 1)
        check_at_least('CoordinateAttention', 'reduction', reduction, 1)
        check_at_least('CoordinateAttention', 'min_channels', min_channels, 1)
        check_choice('CoordinateAttention', 'axes', axes, ('hw', 'h', 'w'))
        mid_channels = max(min_channels, in_channels // reduction)
        super().__init__(
            in_channels,
            mid_channels,
            norm=build_norm_layer(norm_cfg, mid_channels)[1],
            act=build_activation_layer(act_cfg),
            gate=build_activation_layer(gate_cfg),
            axes=axes,
        )

    def gate_layers(self) -> dict[str, int]:
        """The layers whose outputs the gates are made of, and how often each is added up."""
        return {f'conv_{axis}': 1 for axis in self.axes}
