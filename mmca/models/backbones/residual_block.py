from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmca.ops.fusion import Fusion, Stage
from mmca.registry import MODELS

# Where an attention can stand in a block: between the depthwise convolution and its norm, on the
# hidden map that is projected next, or on the block's output before the shortcut is added.
POSITIONS = ('before_norm', 'before_projection', 'after_projection')


class ResidualBlock(nn.Module):
    """What the residual blocks of the backbones share: fusion, and recomputing to save memory.

    A subclass builds its layers, ``attention`` among them, and says which of them stand around it.
    Their fusion (:mod:`mmca.ops.fusion`) is ``self.fusion``, None if they run one by one.
    :meth:`attend` runs the attention with the layers around it, :meth:`attend_before_norm` inside
    the one it belongs to.

    Args:
        with_cp (bool): Recompute the block in backward to save memory.
    """

    def __init__(self, with_cp: bool) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.fusion: Fusion | None = None

    def around_attention(self) -> tuple[nn.Module, ...]:
        """The layer before the attention and, if its input may be made again, the one after.

        None if the attention is inside a layer, before its norm.
        """
        raise NotImplementedError

    def named_layers(self) -> list[tuple[str, nn.Module]]:
        """Its layers in order, without those that do nothing."""
        layers = self.named_children()
        return [(name, layer) for name, layer in layers if not isinstance(layer, nn.Identity)]

    def declare_fusion(self) -> None:
        """Look which of the layers may run as one."""
        stages = [stage_of(layer) for layer in self.around_attention()]
        known = stages and None not in stages
        self.fusion = Fusion.of(self, self.attention, *stages) if known else None

    def train(self, mode: bool = True) -> 'ResidualBlock':
        super().train(mode)
        self.declare_fusion()
        return self

    def _replicate_for_data_parallel(self) -> 'ResidualBlock':
        replica = super()._replicate_for_data_parallel()
        replica.fusion = None  # this block's layers, on another device
        return replica

    def attend(self, x: Tensor) -> Tensor:
        """The layer before the attention, it, and the one after; as one, if they are fused."""
        out = None if self.fusion is None else self.fusion(x)
        if out is None:
            before, *after = self.around_attention()
            out = self.attention(before(x))
            for layer in after:
                out = layer(out)
        return out

    def attend_before_norm(self, layer: ConvModule, x: Tensor) -> Tensor:
        """A layer, with the attention between its convolution and its norm."""
        x = layer.norm(self.attention(layer.conv(x)))
        return layer.activate(x) if layer.with_activation else x

    def run(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The block's layers, in order."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        if self.with_cp and x.requires_grad:
            return checkpoint(self.run, x, use_reentrant=False)
        return self.run(x)


def build_attention(attention: dict | None, channels: int) -> nn.Module:
    """The attention of a config; without one, nothing happens to the map."""
    if attention is None:
        return nn.Identity()
    return MODELS.build(attention, default_args=dict(in_channels=channels))


def default_position(attention: dict | None) -> str:
    """The place of :data:`POSITIONS` that the authors of a config's attention give it."""
    kind = None if attention is None else attention.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    return getattr(kind, 'position', 'before_projection')


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
