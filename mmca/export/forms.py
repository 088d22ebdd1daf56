"""The graph that coordinate attention becomes, chosen for what each runtime does well.

All forms compute :mod:`mmca.ops.reference` in evaluation mode. Batch norm is fixed there, so the
shared convolution may be applied to each profile on its own: no concatenation, split or transpose.
docs/deployment.md has what each form costs.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mmca.errors import UserError
from mmca.ops.cpp_kernels import has_standard_layers
from mmca.ops.layer import AttentionLayers

# ONNX Runtime's convolutions keep so many channels together at most (AVX-512; 8 with AVX2).
BLOCK = 16


class Form(NamedTuple):
    """How an attention is written.

    Attributes:
        pooling: ``'windows'`` of the map's size, written into the graph as numbers; ``'means'``,
            which have no size in them; or ``'operator'``: the whole attention is one node, see
            :mod:`mmca.export.custom_operator`.
        gates: How they meet the map: ``'in_turn'``; ``'multiplied'`` with each other before; or
            ``'spread'`` to the map's size, so that nothing is broadcast. That has a size in it.
        aligned: Whether the features between are filled up to whole blocks of channels.
    """

    pooling: str
    gates: str
    aligned: bool = False

    @property
    def fixed(self) -> bool:
        """Whether there is a size in it."""
        return self.pooling == 'windows' or self.gates == 'spread'


def form_for(target: str, fixed: bool) -> Form:
    """The form in a file for ``target``, of a fixed size or of free ones.

    ONNX Runtime stays in the blocked layout of its convolutions through average pooling, nearest
    resizing and products of equal sizes, if the channels are whole blocks; around a mean or a
    product that broadcasts it puts the map into rows and back.
    """
    if target == 'onnx' and fixed:
        return Form('windows', 'spread', aligned=True)
    if target == 'executorch':  # which has no fast pooling over a whole side
        return Form('means', 'in_turn')
    # Compared in these two alone.
    gates = 'multiplied' if target in ('onnx', 'openvino') else 'in_turn'
    return Form('windows' if fixed else 'means', gates)


OPERATOR = Form('operator', 'operator')


def _is_one_node(layers: AttentionLayers) -> bool:
    return has_standard_layers(layers) and layers.bn1.running_mean is not None


class _OneNode(Function):
    """``mmca.CoordinateAttention`` of ONNX; in PyTorch a stand-in of its shape, for tracing."""

    @staticmethod
    def forward(ctx, x: Tensor, *weights: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def symbolic(g, x, *weights):
        return g.op('mmca::CoordinateAttention', x, *weights, block_i=1).setType(x.type())


class AttentionNode(nn.Module):
    """Coordinate attention as one node of the graph. It computes nothing in PyTorch.

    Args:
        layers (AttentionLayers): Both axes, h-swish, sigmoids and a batch norm that is fixed.
    """

    @torch.no_grad()
    def __init__(self, layers: AttentionLayers) -> None:
        super().__init__()
        shared = fuse_conv_bn_eval(layers.conv1, layers.bn1)
        self.weights = nn.ParameterList()
        spare = -shared.in_channels % BLOCK
        self.weights += [F.pad(shared.weight[:, :, 0, 0], (0, spare)), shared.bias]
        for conv in (layers.conv_h, layers.conv_w):
            self.weights += [
                F.pad(conv.weight[:, :, 0, 0].T, (0, spare)),
                F.pad(conv.bias, (0, spare)),
            ]

    def forward(self, x: Tensor) -> Tensor:
        return _OneNode.apply(x, *self.weights)


@torch.no_grad()
def _filled_up(conv: nn.Conv2d, inputs: int, outputs: int) -> nn.Conv2d:
    """A 1x1 convolution with more channels, all new ones zero."""
    wider = nn.Conv2d(inputs, outputs, 1)
    wider.weight.zero_()[: conv.out_channels, : conv.in_channels] = conv.weight
    wider.bias.zero_()[: conv.out_channels] = conv.bias
    return wider


class AttentionForm(nn.Module):
    """Coordinate attention as it is exported, of the layers of a trained one.

    Args:
        layers (AttentionLayers): The attention, in evaluation mode; stays as it is.
        form (Form): How it is written.

    Shape:
        Input (N, C, H, W); output the same.
    """

    def __init__(self, layers: AttentionLayers, form: Form) -> None:
        super().__init__()
        self.axes, self.form = layers.axes, form
        self.act, self.gate = layers.act, layers.gate
        self.conv1, self.norm = layers.conv1, layers.bn1
        self.conv_h = getattr(layers, 'conv_h', None)
        self.conv_w = getattr(layers, 'conv_w', None)
        if type(layers.bn1) is nn.BatchNorm2d and layers.bn1.running_mean is not None:
            self.conv1, self.norm = fuse_conv_bn_eval(layers.conv1, layers.bn1), nn.Identity()
            if form.aligned:
                self._align()

    def _align(self) -> None:
        """What the activation makes of the new features meets weights of zero."""
        features = -(-self.conv1.out_channels // BLOCK) * BLOCK
        self.conv1 = _filled_up(self.conv1, self.conv1.in_channels, features)
        for name in ('conv_h', 'conv_w'):
            conv = getattr(self, name)
            if conv is not None:
                setattr(self, name, _filled_up(conv, features, conv.out_channels))

    def _pool(self, x: Tensor, axis: int) -> Tensor:
        if self.form.pooling == 'means':
            return x.mean(dim=axis, keepdim=True)
        # Numbers, also while it is traced.
        size = int(x.shape[axis])
        return F.avg_pool2d(x, (1, size) if axis == 3 else (size, 1))

    def _gate(self, x: Tensor, axis: int, expand: nn.Module) -> Tensor:
        profile = self._pool(x, axis)
        gate = self.gate(expand(self.act(self.norm(self.conv1(profile)))))
        if self.form.gates == 'spread':
            return F.interpolate(gate, (int(x.shape[2]), int(x.shape[3])))
        return gate

    def forward(self, x: Tensor) -> Tensor:
        expands = (2, self.conv_w), (3, self.conv_h)
        gates = [self._gate(x, axis, expand) for axis, expand in expands if expand is not None]
        if len(gates) == 2 and self.form.gates == 'multiplied':
            gates = [gates[0] * gates[1]]
        for gate in gates:
            x = x * gate
        return x


def put_forms(network: nn.Module, form: Form) -> nn.Module:
    """Put each coordinate attention within ``network`` into the form that is exported.

    Returns the network, whose attentions have been replaced, in evaluation mode.

    Raises:
        UserError: If the form is one node, and there is no attention that the node computes.
    """
    found = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, AttentionLayers)
    ]
    if form == OPERATOR and not (found and all(map(_is_one_node, (row[2] for row in found)))):
        raise UserError(
            '--custom-operator: the operator is coordinate attention with both axes, h-swish, '
            'sigmoids and batch norm; the network has none, or another one'
        )
    for parent, name, child in found:
        made = AttentionNode(child) if form == OPERATOR else AttentionForm(child, form)
        setattr(parent, name, made)
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
