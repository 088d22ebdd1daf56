import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import Tensor, nn

from mmca.options import check_at_least, check_odd, suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class CBAM(nn.Module):
    """Convolutional block attention module, Woo et al., ECCV 2018, Eq. 1-3.

    A channel gate from average- and max-pooled features through one shared MLP, then a
    spatial gate from the channels' mean and maximum. The spatial gate is batch-normalised and
    starts at 0.5 everywhere, as in Woo et al.'s code: a gate that starts saturated does not
    learn. The budget is squeeze-excitation's, which gives the 3.89 M of MobileNetV2 + CBAM in
    the CA paper; the CA authors publish no code for it.

    Args:
        in_channels (int): Channels C of the input and the output.
        reduction (int): The MLP's hidden layer has ``max(1, C // reduction)`` channels.
        kernel_size (int): Odd kernel size of the spatial gate's convolution.
        norm_cfg (dict): Normalisation of the spatial gate.
        act_cfg (dict): Activation inside the MLP.
        gate_cfg (dict): Activation that makes the two gates.

    Shape:
        Input (N, C, H, W), any H, W >= 1; output the same.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int = 24,
        kernel_size: int = 7,
        norm_cfg: dict = dict(type='BN'),
        act_cfg: dict = dict(type='ReLU'),
        gate_cfg: dict = dict(type='Sigmoid'),
    ) -> None:
        super().__init__()
        check_at_least('CBAM', 'in_channels', in_channels, 1)
        check_at_least('CBAM', 'reduction', reduction, 1)
        check_odd('CBAM', 'kernel_size', kernel_size)
        mid_channels = max(1, in_channels // reduction)
        self.conv_reduce = nn.Conv2d(in_channels, mid_channels, 1)
        self.act = build_activation_layer(act_cfg)
        self.conv_expand = nn.Conv2d(mid_channels, in_channels, 1)
        self.conv_spatial = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.bn_spatial = build_norm_layer(norm_cfg, 1)[1]
        self.gate = build_activation_layer(gate_cfg)
        self.init_weights()

    def init_weights(self) -> None:
        """The start of Woo et al.'s code; a backbone's own initialisation would saturate it."""
        for conv in (self.conv_reduce, self.conv_expand):
            conv.reset_parameters()
            nn.init.zeros_(conv.bias)
        nn.init.zeros_(self.bn_spatial.weight)

    def gate_layers(self) -> dict[str, int]:
        """The layers whose outputs the gates are made of, and how often each is added up."""
        return {'conv_expand': 2, 'bn_spatial': 1}

    def _mlp(self, pooled: Tensor) -> Tensor:
        return self.conv_expand(self.act(self.conv_reduce(pooled)))

    def forward(self, x: Tensor) -> Tensor:
        average = nn.functional.adaptive_avg_pool2d(x, 1)
        maximum = nn.functional.adaptive_max_pool2d(x, 1)
        x = x * self.gate(self._mlp(average) + self._mlp(maximum))
        profile = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return x * self.gate(self.bn_spatial(self.conv_spatial(profile)))
