"""Attentions, and a residual block around one, of torch's layers alone."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from mmca.ops.attention import CoordinateAttentionLayer
from mmca.ops.fusion import Fusion, Stage

FORMATS = [torch.contiguous_format, torch.channels_last]


def make_attention(channels: int, mid_channels: int = 8, axes: str = 'hw') -> nn.Module:
    """Gates far from constant, and numbers on both bends of h-swish."""
    norm = nn.BatchNorm2d(mid_channels)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 3)
        norm.bias.uniform_(-3, 3)
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    return CoordinateAttentionLayer(
        channels, mid_channels, norm, nn.Hardswish(), nn.Sigmoid(), axes
    )


def _stage(conv: nn.Conv2d, norm: nn.Module, *act: nn.Module) -> nn.Sequential:
    names = ['conv', 'norm', 'act']
    return nn.Sequential(OrderedDict(zip(names, (conv, norm, *act))))


class AttentionBlock(nn.Module):
    """A convolution, batch norm and ReLU6, the attention, and a 1x1 convolution with batch norm.

    Args:
        channels (int): Channels of the attention; 8 go in.
        relu6 (bool): Whether there is a ReLU6.
        projected (bool): Whether there is a 1x1 convolution, to 6 channels.
    """

    def __init__(self, channels: int = 12, relu6: bool = True, projected: bool = True) -> None:
        super().__init__()
        conv = nn.Conv2d(8, channels, 3, padding=1, bias=False)
        self.before = _stage(conv, nn.BatchNorm2d(channels), *[nn.ReLU6()] * relu6)
        self.attention = make_attention(channels)
        self.after = nn.Identity()
        if projected:
            self.after = _stage(nn.Conv2d(channels, 6, 1), nn.BatchNorm2d(6))
        with torch.no_grad():
            for norm in self.norms():
                nn.init.uniform_(norm.running_mean, -1, 1)
                nn.init.uniform_(norm.running_var, 0.1, 2)
                nn.init.uniform_(norm.weight, 0.5, 2)
            self.before.norm.weight.fill_(4)  # so that ReLU6 bends at both ends
        self.declare_fusion()

    def norms(self) -> list[nn.Module]:
        return [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]

    def declare_fusion(self) -> None:
        before, after = self.before, self.after
        stages = [Stage(before, before.conv, before.norm, relu6=hasattr(before, 'act'))]
        if not isinstance(after, nn.Identity):
            stages.append(Stage(after, after.conv, after.norm))
        self.fusion = Fusion.of(self, self.attention, *stages)

    def train(self, mode: bool = True) -> 'AttentionBlock':
        super().train(mode)
        self.declare_fusion()
        return self

    def is_fused(self, x: Tensor) -> bool:
        """Whether the layers run as few operations; it counts as a call."""
        return self.fusion is not None and self.fusion(x) is not None

    def forward(self, x: Tensor) -> Tensor:
        out = None if self.fusion is None else self.fusion(x)
        return self.after(self.attention(self.before(x))) if out is None else out
