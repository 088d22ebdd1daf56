"""MobileNetV2 in plain PyTorch, for machines without the OpenMMLab libraries.

Layer by layer what :class:`mmca.models.MobileNetV2` has, the fusion of its blocks included.
"""

from torch import Tensor, nn

from mmca.ops.attention import CoordinateAttentionLayer
from mmca.ops.fusion import Fusion, Stage

# Expand ratio, channels, blocks and stride of each stage (Sandler et al., CVPR 2018, Table 2).
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def conv(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1, act: bool = True):
    layers = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(layers, nn.BatchNorm2d(outputs), *([nn.ReLU6()] if act else []))


def coordinate_attention(channels: int, reduction: int = 32) -> CoordinateAttentionLayer:
    hidden = max(8, channels // reduction)
    norm = nn.BatchNorm2d(hidden)
    return CoordinateAttentionLayer(channels, hidden, norm, nn.Hardswish(), nn.Sigmoid())


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, ratio: int, attention: bool):
        super().__init__()
        hidden = inputs * ratio
        self.has_shortcut = stride == 1 and inputs == outputs
        self.expand = conv(inputs, hidden, 1) if ratio != 1 else nn.Identity()
        self.depthwise = conv(hidden, hidden, 3, stride, groups=hidden)
        self.attention = coordinate_attention(hidden) if attention else nn.Identity()
        self.project = conv(hidden, outputs, 1, act=False)
        self.declare_fusion()

    def declare_fusion(self) -> None:
        before = Stage(self.depthwise, self.depthwise[0], self.depthwise[1], relu6=True)
        after = Stage(self.project, *self.project)
        self.fusion = Fusion.of(self, self.attention, before, after)

    def train(self, mode: bool = True) -> 'InvertedResidual':
        super().train(mode)
        self.declare_fusion()
        return self

    def forward(self, x: Tensor) -> Tensor:
        expanded = self.expand(x)
        out = None if self.fusion is None else self.fusion(expanded)
        if out is None:
            out = self.project(self.attention(self.depthwise(expanded)))
        return x + out if self.has_shortcut else out


class MobileNetV2(nn.Sequential):
    """(N, 3, H, W) to a tuple of one map, (N, 1280, H / 32, W / 32)."""

    def __init__(self, attention: dict | None = None):
        layers, channels = [conv(3, 32, 3, 2)], 32
        for ratio, outputs, count, stride in STAGES:
            for number in range(count):
                step = stride if number == 0 else 1
                with_attention = attention is not None and ratio != 1
                layers.append(InvertedResidual(channels, outputs, step, ratio, with_attention))
                channels = outputs
        super().__init__(*layers, conv(channels, 1280, 1))

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (super().forward(x),)
