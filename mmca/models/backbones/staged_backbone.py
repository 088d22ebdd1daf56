from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmca.checkpoint import load_backbone
from mmca.options import check_choice

NUM_LAYERS = 8


def scale_channels(channels: int, widen_factor: float, divisor: int = 8) -> int:
    """Width-scaled channels, rounded as in MobileNetV2: to ``divisor``, never down by over 10%."""
    scaled = channels * widen_factor
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


def attend_between(
    attention: nn.Module | None, before: nn.Module | None, x: Tensor, after: nn.Module
) -> Tensor:
    """``after(attention(before(x)))``, by the attention itself if it knows a better way."""
    if attention is not None and hasattr(attention, 'forward_between'):
        return attention.forward_between(before, x, after)
    x = x if before is None else before(x)
    return after(x if attention is None else attention(x))


class StagedBackbone(BaseModule):
    """What the backbones share: outputs, initialisation, strict pretraining and freezing.

    A subclass builds ``conv1`` and puts the names of its 8 layers, in order, into ``layers``.
    Its options of the same names are documented there.
    """

    def __init__(
        self,
        widen_factor: float,
        out_indices: Sequence[int],
        frozen_stages: int,
        norm_eval: bool,
        pretrained: str | None,
        init_cfg: dict | list | None,
    ) -> None:
        if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
            # mmengine's own initialiser would skip keys that do not match.
            pretrained, init_cfg = init_cfg['checkpoint'], None
        if init_cfg is None:
            init_cfg = [
                dict(type='Kaiming', layer='Conv2d'),
                dict(type='Constant', layer='_BatchNorm', val=1),
            ]
        super().__init__(init_cfg)
        name = type(self).__name__
        if widen_factor <= 0:
            raise ValueError(f'{name}: widen_factor={widen_factor} must be above 0')
        if not out_indices:
            raise ValueError(f'{name}: out_indices is empty')
        for index in out_indices:
            check_choice(name, 'out_indices', index, tuple(range(NUM_LAYERS)))
        check_choice(name, 'frozen_stages', frozen_stages, tuple(range(-1, NUM_LAYERS + 1)))
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.pretrained = pretrained
        self.layers = []

    def init_weights(self) -> None:
        super().init_weights()
        for block in self.modules():
            # An attention may know a better start; mmengine does not look inside Sequential.
            if hasattr(getattr(block, 'attention', None), 'init_weights'):
                block.attention.init_weights()
        if self.pretrained is not None:
            load_backbone(self, self.pretrained)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.conv1(x)
        outs = []
        for i, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def train(self, mode: bool = True) -> 'StagedBackbone':
        super().train(mode)
        if self.frozen_stages >= 0:
            for name in ['conv1', *self.layers[: self.frozen_stages]]:
                getattr(self, name).eval().requires_grad_(False)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
