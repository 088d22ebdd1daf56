from torch import Tensor

from mmca.ops.autograd import attend
from mmca.ops.implementation import kernels_for
from mmca.ops.layer import AttentionLayers


class CoordinateAttentionLayer(AttentionLayers):
    """Coordinate attention through the fastest implementation at hand.

    See :mod:`mmca.ops.implementation`.

    Shape:
        Input (N, C, H, W), any H, W >= 1; output the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        kernels = kernels_for(x) if self.axes == 'hw' else None
        if kernels is None or not kernels.accepts(self):
            return self.reference(x)
        return attend(self, x, kernels)
