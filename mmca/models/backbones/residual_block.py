from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmca.ops.fusion import Fusion, Stage
from mmca.registry import MODELS


class ResidualBlock(nn.Module):
    """What the residual blocks of the backbones share: fusion, and recomputing to save memory.

    A subclass builds its layers, ``attention`` among them, and says which of them stand around it.
    Their fusion (:mod:`mmca.ops.fusion`) is ``self.fusion``, None if they run one by one.

    Args:
        with_cp (bool): Recompute the block in backward to save memory.
    """

    def __init__(self, with_cp: bool) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.fusion: Fusion | None = None

    def around_attention(self) -> tuple[nn.Module, ...]:
        """The layer before the attention and, if its input may be made again, the one after."""
        raise NotImplementedError

    def named_layers(self) -> list[tuple[str, nn.Module]]:
        """Its layers in order, without those that do nothing."""
        layers = self.named_children()
        return [(name, layer) for name, layer in layers if not isinstance(layer, nn.Identity)]

    def declare_fusion(self) -> None:
        """Look which of the layers may run as one."""
        stages = [stage_of(layer) for layer in self.around_attention()]
        self.fusion = None if None in stages else Fusion.of(self, self.attention, *stages)

    def train(self, mode: bool = True) -> 'ResidualBlock':
        super().train(mode)
        self.declare_fusion()
        return self

    def _replicate_for_data_parallel(self) -> 'ResidualBlock':
        replica = super()._replicate_for_data_parallel()
        replica.fusion = None  # this block's layers, on another device
        return replica

    def run(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The block's layers, in order: its expanded features and its output."""
        raise NotImplementedError

    def forward_expanded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The features that its strided depthwise convolution takes, and the output."""
        if self.with_cp and x.requires_grad:
            return checkpoint(self.run, x, use_reentrant=False)
        return self.run(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_expanded(x)[1]


def build_attention(attention: dict | None, channels: int) -> nn.Module:
    """The attention of a config; without one, nothing happens to the map."""
    if attention is None:
        return nn.Identity()
    return MODELS.build(attention, default_args=dict(in_channels=channels))


def stage_of(module: nn.Module) -> Stage | None:
    """A ConvModule's layers; None if it does more than convolution, norm and at most ReLU6."""
    if (
        type(module) is not ConvModule
        or module.order != ('conv', 'norm', 'act')
        or not isinstance(module.conv, nn.Conv2d)
        or not module.with_norm
        or module.with_explicit_padding
        or getattr(module, 'efficient_conv_bn_eval_forward', None) is not None
        or (module.with_activation and type(module.activate) is not nn.ReLU6)
    ):
        return None
    return Stage(module, module.conv, module.norm, relu6=module.with_activation)
