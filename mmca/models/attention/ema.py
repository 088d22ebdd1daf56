import torch
from mmcv.cnn import build_activation_layer
from torch import Tensor, nn

from mmca.options import check_at_least, suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class EMA(nn.Module):
    """Efficient multi-scale attention, Ouyang et al., ICASSP 2023 (arXiv 2305.13563), Sec. 3.2.

    The channels are split into groups, which share all weights. One branch gates the group along
    its height and width, as coordinate attention does, and normalises it; the other is a 3x3
    convolution. Each branch's average, through a softmax over the channels, weighs the channels of
    the other (Eq. 2): the sum of both is the gate of each pixel of the group.

    Args:
        in_channels (int): Channels C of the input and the output.
        factor (int): A group has ``max(1, C // factor)`` channels, or the next lower number that
            divides C (the paper leaves open what happens to other C). 32 gives MobileNetV2 the
            paper's 3.55 M.
        gate_cfg (dict): Activation that makes the gates.

    Shape:
        Input (N, C, H, W), any H, W >= 1; output the same.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self, in_channels: int, factor: int = 32, gate_cfg: dict = dict(type='Sigmoid')
    ) -> None:
        super().__init__()
        check_at_least('EMA', 'in_channels', in_channels, 1)
        check_at_least('EMA', 'factor', factor, 1)
        most = max(1, in_channels // factor)
        channels = next(width for width in range(most, 0, -1) if in_channels % width == 0)
        self.groups = in_channels // channels
        self.conv1x1 = nn.Conv2d(channels, channels, 1)
        self.conv3x3 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.GroupNorm(channels, channels)
        self.gate = build_activation_layer(gate_cfg)

    def init_weights(self) -> None:
        """PyTorch's own start of the convolutions."""
        for conv in (self.conv1x1, self.conv3x3):
            conv.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        group = x.unflatten(1, (self.groups, -1)).flatten(0, 1)  # (N G, C / G, H, W)
        pools = group.mean(3, keepdim=True), group.mean(2, keepdim=True).transpose(2, 3)
        h, w = self.conv1x1(torch.cat(pools, dim=2)).split([height, width], dim=2)
        first = self.norm(group * self.gate(h) * self.gate(w.transpose(2, 3)))
        second = self.conv3x3(group)
        weights = _weigh(first, second) + _weigh(second, first)  # (N G, 1, H W)
        gate = self.gate(weights.reshape(-1, self.groups, 1, height, width))
        return x * gate.expand(-1, -1, group.shape[1], -1, -1).flatten(1, 2)


def _weigh(channels: Tensor, pixels: Tensor) -> Tensor:
    """The sum of a map's channels, each weighed by how strong it is in the other map."""
    strength = channels.mean(dim=(2, 3)).softmax(dim=1)  # (N, C)
    return strength.unsqueeze(1) @ pixels.flatten(2)  # (N, 1, H W)
