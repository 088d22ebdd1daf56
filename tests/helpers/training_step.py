"""One training step and one validation of a config's model, on drawn images of any task."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData, PixelData
from mmengine.utils import import_modules_from_strings


def build(path: Path, options: dict | None = None) -> torch.nn.Module:
    """The model of a config, with other options, as of ``--cfg-options``."""
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(options or {})
    import_modules_from_strings(**cfg.custom_imports)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(cfg.model)


def drawn_batch(scope: str, side: int, with_masks: bool = False) -> dict:
    """Two images with one object each, as the loaders of a library give them."""
    images = list(torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8))
    return dict(inputs=images, data_samples=[_sample(scope, side, with_masks) for _ in images])


def _sample(scope: str, side: int, with_masks: bool):
    metas = dict(img_shape=(side, side), ori_shape=(side, side), scale_factor=(1.0, 1.0), img_id=0)
    if scope == 'mmpretrain':
        from mmpretrain.structures import DataSample

        return DataSample(metainfo=metas).set_gt_label(1)
    if scope == 'mmseg':
        from mmseg.structures import SegDataSample

        labels = torch.zeros(1, side, side, dtype=torch.long)
        labels[:, side // 4 : side // 2] = 1
        return SegDataSample(metainfo=metas, gt_sem_seg=PixelData(data=labels))
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    box = side // 4, side // 4, 3 * side // 4, side // 2
    truth = InstanceData(bboxes=torch.tensor([box]).float(), labels=torch.tensor([1]))
    if with_masks:
        mask = torch.zeros(1, side, side, dtype=torch.uint8)
        mask[:, box[1] : box[3], box[0] : box[2]] = 1
        truth.masks = BitmapMasks(mask.numpy(), side, side)
    return DetDataSample(
        metainfo=metas,
        gt_instances=truth,
        ignored_instances=InstanceData(bboxes=torch.empty(0, 4), labels=torch.empty(0)),
    )


def train_and_validate(model: torch.nn.Module, batch: dict) -> list:
    """A step of SGD that moves the backbone, with a finite loss; then the predictions."""
    from mmengine.optim import OptimWrapper

    model.init_weights()
    model.train()
    before = [p.clone() for p in model.backbone.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    losses = model.train_step(batch, OptimWrapper(optimizer))
    assert all(value.isfinite().all() for value in losses.values()), losses
    after = [p for p in model.backbone.parameters() if p.requires_grad]
    moved = sum(not torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert moved > 0.9 * len(before)
    model.eval()  # some return None
    with torch.no_grad():
        return model.val_step(batch)
