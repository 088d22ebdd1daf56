from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models import mobilenet_v3_large

from mmca.checkpoint import load_backbone, pretrained_of
from mmca.options import check_choice, suggest_options
from mmca.registry import MODELS

_NUM_LAYERS = 17


@MODELS.register_module()
@suggest_options
class MobileNetV3(BaseModule):
    """torchvision's MobileNetV3-Large (Howard et al., ICCV 2019, Table 1) as a backbone.

    Modules are torchvision's, ``features``: the stem 0, the blocks 1 to 15, and 16, the
    960-channel convolution. Its weights load as they are. It has its own squeeze-excitation; none
    of our attentions is put into it.

    Args:
        out_indices (Sequence[int]): Outputs, of 0-16.
        expanded_indices (Sequence[int]): Blocks, of 2-15, that also hand out their expanded
            features, before the depthwise convolution; they come before that block's output.
            SSDLite takes those of block 13: 672 channels at stride 16.
        frozen_stages (int): Freeze ``features`` up to this one; -1: nothing.
        norm_eval (bool): Keep batch norm in eval mode while training.
        pretrained (str | None): Checkpoint to start from: torchvision's, or a model with this
            backbone. Loading is strict and happens in :meth:`init_weights`.
            ``init_cfg=dict(type='Pretrained', ...)`` means the same.
        init_cfg (dict | list | None): Initialisation; default: torchvision's.

    Shape:
        Input (N, 3, H, W); output: a tuple with one (N, C_i, H_i, W_i) for each of
        ``expanded_indices`` and ``out_indices``, in the order of depth.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        out_indices: Sequence[int] = (16,),
        expanded_indices: Sequence[int] = (),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        self.pretrained, init_cfg = pretrained_of(init_cfg, pretrained)
        super().__init__(init_cfg)
        name = type(self).__name__
        if not out_indices:
            raise ValueError(f'{name}: out_indices is empty')
        for index in out_indices:
            check_choice(name, 'out_indices', index, tuple(range(_NUM_LAYERS)))
        for index in expanded_indices:
            check_choice(name, 'expanded_indices', index, tuple(range(2, _NUM_LAYERS - 1)))
        check_choice(name, 'frozen_stages', frozen_stages, tuple(range(-1, _NUM_LAYERS)))
        self.out_indices = tuple(out_indices)
        self.expanded_indices = tuple(expanded_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.features = mobilenet_v3_large().features

    def init_weights(self) -> None:
        super().init_weights()
        if self.pretrained is not None:
            load_backbone(self, *self.pretrained)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outs = []
        for i, layer in enumerate(self.features):
            if i in self.expanded_indices:
                outs.append(layer.block[0](x))
                out = layer.block[1:](outs[-1])
                x = x + out if layer.use_res_connect else out
            else:
                x = layer(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def train(self, mode: bool = True) -> 'MobileNetV3':
        super().train(mode)
        self.features[: self.frozen_stages + 1].eval().requires_grad_(False)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
