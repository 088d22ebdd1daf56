from torch import Tensor, nn

from mmca.ops.reference import coordinate_attention


class AttentionLayers(nn.Module):
    """The layers of coordinate attention; names of parameters are the authors'.

    Args:
        in_channels (int): Channels C of the input and the output.
        mid_channels (int): Channels M of the features that both directions share.
        norm, act (nn.Module): Normalisation and activation of the features, (N, M, L, 1).
        gate (nn.Module): Activation that makes the gates.
        axes (str): ``'hw'``, or the one direction in which the gate varies.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        norm: nn.Module,
        act: nn.Module,
        gate: nn.Module,
        axes: str = 'hw',
    ) -> None:
        super().__init__()
        self.axes = axes
        self.conv1 = nn.Conv2d(in_channels, mid_channels, 1)
        self.bn1 = norm
        self.act = act
        if 'h' in axes:
            self.conv_h = nn.Conv2d(mid_channels, in_channels, 1)
        if 'w' in axes:
            self.conv_w = nn.Conv2d(mid_channels, in_channels, 1)
        self.gate = gate

    def squeeze(self, z: Tensor) -> Tensor:
        """(N, C, L, 1) to (N, M, L, 1): F_1 of the paper, norm and activation."""
        return self.act(self.bn1(self.conv1(z)))

    def expand_h(self, f: Tensor) -> Tensor:
        """(N, M, H, 1) to the gate (N, C, H, 1)."""
        return self.gate(self.conv_h(f))

    def expand_w(self, f: Tensor) -> Tensor:
        """(N, M, 1, W) to the gate (N, C, 1, W)."""
        return self.gate(self.conv_w(f))

    def reference(self, x: Tensor) -> Tensor:
        """The plain PyTorch expression, whatever kernels there are."""
        expand_h = self.expand_h if 'h' in self.axes else None
        expand_w = self.expand_w if 'w' in self.axes else None
        return coordinate_attention(x, self.squeeze, expand_h, expand_w)
