from mmcv.cnn import build_activation_layer
from torch import Tensor, nn

from mmca.options import check_at_least, suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class SimAM(nn.Module):
    """SimAM, Yang et al., ICML 2021, Sec. 3.2, Eq. 5 and the listing of Fig. 3; no parameters.

    ``y = x * sigmoid(1 / e)`` with the least energy e of each value x of a channel,
    ``1 / e = (x - mean)^2 / (4 (var + e_lambda)) + 1 / 2``: what stands out is kept.
    The variance is over H * W - 1, as in the paper's listing.

    Args:
        in_channels (int): Channels C of the input and the output.
        e_lambda (float): Added to the variance; the paper uses 1e-4 on ImageNet.
        gate_cfg (dict): Activation that makes the gate.

    Shape:
        Input (N, C, H, W), any H, W >= 1; output the same.

    Raises:
        ValueError: If an option is out of range.
    """

    position = 'before_norm'

    def __init__(
        self,
        in_channels: int,
        e_lambda: float = 1e-4,
        gate_cfg: dict = dict(type='Sigmoid'),
    ) -> None:
        super().__init__()
        check_at_least('SimAM', 'in_channels', in_channels, 1)
        if e_lambda <= 0:
            raise ValueError(f'SimAM: e_lambda={e_lambda} must be above 0')
        self.e_lambda = e_lambda
        self.gate = build_activation_layer(gate_cfg)

    def forward(self, x: Tensor) -> Tensor:
        squares = (x - x.mean(dim=(2, 3), keepdim=True)).square()
        pixels = x.shape[2] * x.shape[3]
        others = pixels - 1 + 1 // pixels  # but 1 for a single pixel, in traces of any size, too
        variance = squares.sum(dim=(2, 3), keepdim=True) / others
        return x * self.gate(squares / (4 * (variance + self.e_lambda)) + 0.5)
