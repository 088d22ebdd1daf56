from mmcv.cnn import ConvModule
from mmdet.models.dense_heads import SSDHead
from mmdet.models.losses import smooth_l1_loss
from mmengine.model import bias_init_with_prob, normal_init
from torch import Tensor, nn

from mmca.checkpoint import pretrained_of
from mmca.options import suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class SSDLiteHead(SSDHead):
    """SSDLite's head, as in the CA authors' *ssdlite-pytorch-mobilenext*.

    Each level has a depthwise 3x3 convolution with bias, batch norm and ReLU6, then a 1x1
    convolution, once for the classes and once for the boxes; the last level has the 1x1
    convolution alone.

    Args:
        loss_cls (dict | None): Loss of the classes: ``dict(type='mmca.SSDLiteFocalLoss')``, the
            authors' on COCO; or None for softmax with hard negatives
            (``train_cfg.neg_pos_ratio``), theirs on VOC.
        norm_cfg (dict): Normalisation after the depthwise convolutions.
        act_cfg (dict): Activation after it.
        **kwargs: Options of mmdet's ``SSDHead``.

    Shape:
        Features: one (N, C_i, H_i, W_i) for each level; output: for each level class logits
        (N, priors_i * (num_classes + 1), H_i, W_i) and box deltas (N, priors_i * 4, H_i, W_i).
    """

    def __init__(
        self,
        *args,
        loss_cls: dict | None = None,
        norm_cfg: dict = dict(type='BN'),
        act_cfg: dict = dict(type='ReLU6'),
        **kwargs,
    ) -> None:
        super().__init__(*args, norm_cfg=norm_cfg, act_cfg=act_cfg, **kwargs)
        # mmdet's prediction looks at it, though its own SSDHead has none.
        self.loss_cls = MODELS.build(loss_cls) if loss_cls else None

    def _init_layers(self) -> None:
        self.cls_convs = self._predictors(self.cls_out_channels)
        self.reg_convs = self._predictors(4)

    def _predictors(self, outputs: int) -> nn.ModuleList:
        levels = nn.ModuleList()
        last = len(self.in_channels) - 1
        for i, (channels, priors) in enumerate(zip(self.in_channels, self.num_base_priors)):
            pointwise = nn.Conv2d(channels, priors * outputs, 1)
            if i == last:
                levels.append(pointwise)
                continue
            depthwise = ConvModule(
                channels,
                channels,
                3,
                padding=1,
                groups=channels,
                bias=True,
                norm_cfg=self.norm_cfg,
                act_cfg=self.act_cfg,
            )
            levels.append(nn.Sequential(depthwise, pointwise))
        return levels

    def init_weights(self) -> None:
        super().init_weights()
        if self.loss_cls is None or pretrained_of(self.init_cfg)[0]:
            return
        # The authors' start for the focal loss, also of the depthwise convolutions.
        for module in self.cls_convs.modules():
            if isinstance(module, nn.Conv2d):
                normal_init(module, std=0.01, bias=bias_init_with_prob(0.01))

    def loss_by_feat_single(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        anchor: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        bbox_weights: Tensor,
        avg_factor: int,
    ) -> tuple[Tensor, Tensor]:
        if self.loss_cls is None:
            return super().loss_by_feat_single(
                cls_score,
                bbox_pred,
                anchor,
                labels,
                label_weights,
                bbox_targets,
                bbox_weights,
                avg_factor,
            )
        loss_cls = self.loss_cls(cls_score, labels, label_weights, avg_factor=avg_factor)
        loss_bbox = smooth_l1_loss(
            bbox_pred,
            bbox_targets,
            bbox_weights,
            beta=self.train_cfg['smoothl1_beta'],
            avg_factor=avg_factor,
        )
        return loss_cls[None], loss_bbox
