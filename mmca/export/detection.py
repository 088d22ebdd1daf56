"""A detector of mmdet with anchors: decoded boxes, and NMS as one operator of ONNX."""

import inspect

import torch
from mmdet.models.dense_heads import AnchorHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmdet.models.task_modules.coders.delta_xywh_bbox_coder import delta2bbox
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F

from mmca.errors import UserError
from mmca.export.model import LoadedModel

_DECODING = set(inspect.signature(delta2bbox).parameters) - {'rois', 'deltas', 'max_shape'}


class _StandardNms(Function):
    """ONNX's NonMaxSuppression; in PyTorch a stand-in of the same shape, for tracing."""

    @staticmethod
    def forward(ctx, boxes: Tensor, scores: Tensor, per_class: int, iou: float, score: float):
        return torch.zeros(1, 3, dtype=torch.int64)

    @staticmethod
    def symbolic(g, boxes, scores, per_class, iou, score):
        numbers = torch.tensor([per_class]), torch.tensor([iou]), torch.tensor([score])
        constants = [g.op('Constant', value_t=number) for number in numbers]
        return g.op('NonMaxSuppression', boxes, scores, *constants)


class Detector(nn.Module):
    """(N, 3, H, W), normalised, to boxes x1 y1 x2 y2 in pixels, scores and labels.

    Args:
        loaded (LoadedModel): A single stage detector with anchors.
        fixed (bool): Whether the input has one size; the anchors are then constants.
        with_nms (bool): Whether NMS is included: outputs ``boxes`` (N, K, 4), ``scores`` (N, K),
            falling, and ``labels`` (N, K), -1 beyond the last detection, with K = max_per_img.
            Otherwise ``boxes`` (N, P, 4) and ``class_scores`` (N, P, classes) of all P anchors.

    Raises:
        UserError: If the detector is of another kind.
    """

    def __init__(self, loaded: LoadedModel, fixed: bool, with_nms: bool) -> None:
        super().__init__()
        self.model, self.fixed, self.with_nms = loaded.model, fixed, with_nms
        self.settings = nms_of(loaded)
        names = ('boxes', 'scores', 'labels') if with_nms else ('boxes', 'class_scores')
        self.output_names = names
        coder = self.model.bbox_head.bbox_coder
        self.decoding = {name: getattr(coder, name) for name in _DECODING if hasattr(coder, name)}

    def _all(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (N, P, 4) and class scores (N, P, classes) of all anchors."""
        head = self.model.bbox_head
        levels, deltas = head(self.model.extract_feat(x))
        sizes = [level.shape[-2:] for level in levels]
        if self.fixed:
            sizes = [tuple(map(int, size)) for size in sizes]
        priors = torch.cat(head.prior_generator.grid_priors(sizes, device=x.device))
        batch = x.shape[0]

        def rows(maps: list[Tensor], width: int) -> Tensor:
            flat = [one.permute(0, 2, 3, 1).reshape(batch, -1, width) for one in maps]
            return torch.cat(flat, dim=1)

        logits, deltas = rows(levels, head.cls_out_channels), rows(deltas, 4)
        priors = priors[None].expand(batch, -1, -1).reshape(-1, 4)
        height, width = x.shape[2:]
        if self.fixed:
            height, width = int(height), int(width)
        boxes = delta2bbox(
            priors, deltas.reshape(-1, 4), max_shape=(height, width), **self.decoding
        )
        return boxes.reshape(batch, -1, 4), self._scores(logits)

    def _scores(self, logits: Tensor) -> Tensor:
        head = self.model.bbox_head
        if getattr(head.loss_cls, 'custom_cls_channels', False):
            flat = head.loss_cls.get_activation(logits.reshape(-1, logits.shape[2]))
            return flat.reshape(logits.shape[0], -1, head.num_classes)
        if head.use_sigmoid_cls:
            return logits.sigmoid()
        return logits.softmax(dim=2)[:, :, :-1]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        boxes, scores = self._all(x)
        if not self.with_nms:
            return boxes, scores
        keep = self.settings['max_per_img']
        # A box without area is none.
        sides = boxes[:, :, 2:] - boxes[:, :, :2]
        scores = scores * (sides.amin(dim=2, keepdim=True) > 0).float()
        by_class = scores.transpose(1, 2)  # (N, classes, P)
        thresholds = self.settings['iou_threshold'], self.settings['score_thr']
        chosen = _StandardNms.apply(boxes, by_class.contiguous(), keep, *thresholds)
        image, label, anchor = chosen.unbind(dim=1)
        kept = torch.zeros_like(by_class)
        kept = kept.index_put((image, label, anchor), by_class[image, label, anchor])
        # A small image may have fewer anchors than places.
        best, places = F.pad(kept.flatten(1), (0, keep)).topk(keep, dim=1)
        anchors = kept.shape[2]
        labels = torch.div(places, anchors, rounding_mode='floor')
        places = (places % anchors)[:, :, None].expand(-1, -1, 4)
        found = best > 0
        chosen_boxes = boxes.gather(1, places) * found[:, :, None].float()
        return chosen_boxes, best, torch.where(found, labels, torch.full_like(labels, -1))


def nms_of(loaded: LoadedModel) -> dict[str, float]:
    """Thresholds of a detector's NMS, and how many boxes are left at most.

    Raises:
        UserError: If the detector, or its NMS, is of a kind that is not exported.
    """
    head = getattr(loaded.model, 'bbox_head', None)
    if not isinstance(head, AnchorHead) or type(head.bbox_coder) is not DeltaXYWHBBoxCoder:
        raise UserError(
            f'{type(loaded.model).__name__} with {type(head).__name__}: of detectors, those of one '
            'stage with anchors and DeltaXYWHBBoxCoder are exported, such as SSDLite'
        )
    if getattr(loaded.model.data_preprocessor, 'pad_size_divisor', 1) != 1:
        raise UserError(
            'model.data_preprocessor.pad_size_divisor must be 1: padding is not part of the file'
        )
    test = head.test_cfg
    nms = dict(test.nms)
    if nms.get('type', 'nms') != 'nms' or nms.get('class_agnostic'):
        raise UserError(f'test_cfg.nms={nms}: exported is type="nms", for each class')
    if 0 < test.get('nms_pre', -1) < 10000:
        raise UserError(
            f'test_cfg.nms_pre={test.nms_pre} drops candidates before NMS, which the file does '
            'not do: give --cfg-options model.test_cfg.nms_pre=1000000'
        )
    return {
        'score_thr': float(test.get('score_thr', 0)),
        'iou_threshold': float(nms['iou_threshold']),
        'max_per_img': int(test.max_per_img),
    }
