"""A trained model as one function of tensors, from the images to what its task gives."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmca.errors import UserError
from mmca.export.forms import Form, folded_preprocessing, put_forms
from mmca.export.model import LoadedModel


class _Classifier(nn.Module):
    """(N, 3, H, W), normalised, to scores (N, classes), which add up to 1."""

    output_names = ('scores',)

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__()
        self.model = loaded.model

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        logits = self.model(x)  # mode='tensor'
        return (logits.softmax(dim=1),)


class _Segmentor(nn.Module):
    """(N, 3, H, W), normalised, to the class of each pixel, (N, H, W), or their ``logits``."""

    def __init__(self, loaded: LoadedModel, with_argmax: bool) -> None:
        super().__init__()
        self.model, self.with_argmax = loaded.model, with_argmax
        self.output_names = ('class_map',) if with_argmax else ('logits',)
        mode = (loaded.model.test_cfg or {}).get('mode')
        if mode != 'whole':
            raise UserError(
                f'model.test_cfg.mode={mode!r}: only a whole image at once can be exported; give '
                '--cfg-options model.test_cfg.mode=whole'
            )
        if loaded.model.decode_head.out_channels == 1:
            raise UserError('a decode head with one output channel, a threshold, is not exported')

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        small = self.model.decode_head(self.model.extract_feat(x))
        align = self.model.decode_head.align_corners
        # As mmseg tests.
        logits = F.interpolate(small, x.shape[2:], mode='bilinear', align_corners=align)
        return (logits.argmax(dim=1) if self.with_argmax else logits,)


class ExportNetwork(nn.Module):
    """What is exported: preprocessing, unless left out, then the model and its task's last step.

    Args:
        loaded (LoadedModel): The model; stays as it is.
        form (Form): How attentions are written.
        layout (str): ``'NHWC'``: the input is (N, H, W, 3), uint8; ``'NCHW'``: (N, 3, H, W),
            float32, 0 to 255 in BGR; without preprocessing normalised, in the network's order.
        preprocessing (bool): Whether normalisation and order of channels are included.
        fixed (bool): Whether the input has one size.
        last_step (bool): Whether a detector's NMS and the argmax of segmentation are included.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        form: Form,
        layout: str,
        preprocessing: bool,
        fixed: bool,
        last_step: bool,
    ) -> None:
        super().__init__()
        loaded = loaded._replace(model=put_forms(copy.deepcopy(loaded.model), form))
        self.layout, self.form = layout, form
        self.before = nn.Identity()
        if preprocessing:
            self.before = folded_preprocessing(*loaded.normalisation())
        if loaded.task == 'detection':
            from mmca.export.detection import Detector

            self.network = Detector(loaded, fixed, with_nms=last_step)
        elif loaded.task == 'segmentation':
            self.network = _Segmentor(loaded, with_argmax=last_step)
        else:
            self.network = _Classifier(loaded)
        self.output_names = self.network.output_names
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        x = images.permute(0, 3, 1, 2).float() if self.layout == 'NHWC' else images
        return self.network(self.before(x))

    def example(self, size: tuple[int, int], batch: int) -> Tensor:
        """An input, random, to trace with."""
        generator = torch.Generator().manual_seed(0)
        if self.layout == 'NHWC':
            shape = batch, *size, 3
            return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        return torch.rand(batch, 3, *size, generator=generator) * 255
