from collections.abc import Sequence

import torch
from mmcv.cnn import build_activation_layer
from torch import Tensor, nn

from mmca.options import check_at_least, check_odd, suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class SCSA(nn.Module):
    """Spatial and channel synergistic attention, Si et al., 2024 (arXiv 2407.05128), Sec. 3.2-3.3.

    First the spatial gates (SMSA): the pools along width and height, their channels in as many
    parts as there are kernels, each part through a depthwise one-dimensional convolution that both
    directions share, group norm with a group for each part, sigmoid. Then the channel gate (PCSA):
    the gated map, averaged in windows and normalised as one group, gives query, key and value by
    one weight a channel; the channels attend to each other, ``softmax(q k^T / sqrt(C)) v``, and the
    sigmoid of the mean is the gate.

    Args:
        in_channels (int): Channels C of the input and the output; a multiple of the number of
            kernels.
        kernel_sizes (Sequence[int]): Odd kernel sizes of the parts.
        window_size (int): Side of the windows. The last ones of a map whose sides are no multiples
            of it average what is left (the paper leaves such maps open).
        gate_cfg (dict): Activation that makes the gates.

    Shape:
        Input (N, C, H, W), any H, W >= 1; output the same.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        kernel_sizes: Sequence[int] = (3, 5, 7, 9),
        window_size: int = 7,
        gate_cfg: dict = dict(type='Sigmoid'),
    ) -> None:
        super().__init__()
        check_at_least('SCSA', 'in_channels', in_channels, 1)
        check_at_least('SCSA', 'window_size', window_size, 1)
        for size in kernel_sizes:
            check_odd('SCSA', 'kernel_sizes', size)
        parts = len(kernel_sizes)
        if not parts or in_channels % parts:
            raise ValueError(
                f'SCSA: in_channels={in_channels} cannot be split for {parts} kernel_sizes'
            )
        width = in_channels // parts
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, size, padding=size // 2, groups=width) for size in kernel_sizes
        )
        self.norm_h = nn.GroupNorm(parts, in_channels)
        self.norm_w = nn.GroupNorm(parts, in_channels)
        self.pool = nn.AvgPool2d(window_size, ceil_mode=True)
        self.norm = nn.GroupNorm(1, in_channels)
        for name in ('query', 'key', 'value'):
            conv = nn.Conv2d(in_channels, in_channels, 1, groups=in_channels, bias=False)
            self.add_module(name, conv)
        self.gate = build_activation_layer(gate_cfg)

    def init_weights(self) -> None:
        """PyTorch's own start: a backbone's is for convolutions of many inputs."""
        for conv in (self.query, self.key, self.value):
            conv.reset_parameters()

    def _convolve(self, profile: Tensor) -> Tensor:
        """(N, C, L), each part by its own convolution."""
        parts = profile.chunk(len(self.convs), dim=1)
        return torch.cat([conv(part) for conv, part in zip(self.convs, parts)], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        gate_h = self.gate(self.norm_h(self._convolve(x.mean(3)))).unsqueeze(3)  # (N, C, H, 1)
        gate_w = self.gate(self.norm_w(self._convolve(x.mean(2)))).unsqueeze(2)  # (N, C, 1, W)
        x = x * gate_h * gate_w
        pooled = self.norm(self.pool(x))
        query, key = self.query(pooled).flatten(2), self.key(pooled).flatten(2)  # (N, C, windows)
        attention = (query @ key.transpose(1, 2) * x.shape[1] ** -0.5).softmax(dim=2)  # (N, C, C)
        channels = (attention @ self.value(pooled).flatten(2)).mean(2)  # (N, C)
        return x * self.gate(channels)[:, :, None, None]
