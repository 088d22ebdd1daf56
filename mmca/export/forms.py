"""The graph that coordinate attention becomes, chosen for what each runtime does well.

All forms compute :mod:`mmca.ops.reference` in evaluation mode. Batch norm is fixed there, so the
shared convolution may be applied to each profile on its own: no concatenation, split or transpose.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mmca.ops.layer import AttentionLayers

# How a form pools: by windows of the map's size, written into the graph as numbers; or by means,
# which have no size in them.
WINDOWS, MEANS = 'windows', 'means'


def form_for(target: str, fixed: bool) -> str:
    """How the attention pools in a file for ``target``, of a fixed size or of free ones.

    ONNX Runtime keeps average pooling in the blocked layout of its convolutions, and leaves it
    around a mean; a window has one size, though. docs/deployment.md has what each costs.
    """
    return WINDOWS if fixed else MEANS


class AttentionForm(nn.Module):
    """Coordinate attention as it is exported, of the layers of a trained one.

    Args:
        layers (AttentionLayers): The attention, in evaluation mode; stays as it is.
        pooling (str): ``'windows'`` or ``'means'``.

    Shape:
        Input (N, C, H, W); output the same.
    """

    def __init__(self, layers: AttentionLayers, pooling: str) -> None:
        super().__init__()
        self.axes, self.pooling = layers.axes, pooling
        self.act, self.gate = layers.act, layers.gate
        self.conv1, self.norm = layers.conv1, layers.bn1
        if type(layers.bn1) is nn.BatchNorm2d and layers.bn1.running_mean is not None:
            self.conv1, self.norm = fuse_conv_bn_eval(layers.conv1, layers.bn1), nn.Identity()
        self.conv_h = getattr(layers, 'conv_h', None)
        self.conv_w = getattr(layers, 'conv_w', None)

    def _pool(self, x: Tensor, axis: int) -> Tensor:
        if self.pooling == MEANS:
            return x.mean(dim=axis, keepdim=True)
        # Numbers, also while it is traced.
        size = int(x.shape[axis])
        return F.avg_pool2d(x, (1, size) if axis == 3 else (size, 1))

    def _gate(self, profile: Tensor, expand: nn.Module) -> Tensor:
        return self.gate(expand(self.act(self.norm(self.conv1(profile)))))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.conv_w is not None:
            y = y * self._gate(self._pool(x, 2), self.conv_w)
        if self.conv_h is not None:
            y = y * self._gate(self._pool(x, 3), self.conv_h)
        return y


def put_forms(network: nn.Module, pooling: str) -> nn.Module:
    """Put each coordinate attention within ``network`` into the form that is exported.

    Returns the network, whose attentions have been replaced, in evaluation mode.
    """
    found = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, AttentionLayers)
    ]
    for parent, name, child in found:
        setattr(parent, name, AttentionForm(child, pooling))
    return network.eval()  # in which blocks look again at what they may run as one


@torch.no_grad()
def folded_preprocessing(mean: Tensor, std: Tensor, swap: bool) -> nn.Conv2d:
    """Normalisation and order of channels as one 1x1 convolution of 3 channels.

    Args:
        mean, std (Tensor): (3,), in the network's order.
        swap (bool): Whether the network's order is the reverse of the image's.
    """
    conv = nn.Conv2d(3, 3, 1)
    matrix = torch.diag(1 / std)
    conv.weight.copy_((matrix.flip(1) if swap else matrix)[:, :, None, None])
    conv.bias.copy_(-mean / std)
    return conv
