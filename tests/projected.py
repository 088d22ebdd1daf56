"""An attention with the layers that it has around it in the networks."""

import torch
from mmcv.cnn import ConvModule
from torch import nn

from mmca.models import CoordinateAttention


class Projected(nn.Module):
    """An attention between two convolutions, as in the networks' blocks."""

    def __init__(self, activation='ReLU6'):
        super().__init__()
        act_cfg = activation and dict(type=activation)
        self.before = ConvModule(8, 12, 1, norm_cfg=dict(type='BN'), act_cfg=act_cfg)
        self.attention = CoordinateAttention(12)
        self.conv = ConvModule(12, 6, 1, norm_cfg=dict(type='BN'), act_cfg=None)
        with torch.no_grad():  # so that ReLU6 bends at both ends
            self.before.bn.weight.fill_(4)
            self.before.bn.running_mean.uniform_(-1, 1)
            self.before.bn.running_var.uniform_(0.1, 2)

    def forward(self, x):
        return self.attention.forward_between(self.before, x, self.conv)
