"""Other heads on our backbones, by config alone: parameters, a training step, a validated batch."""

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import TRANSFORMS, DefaultScope
from mmengine.utils import import_modules_from_strings

from helpers.tools import ROOT
from helpers.training_step import build, drawn_batch, train_and_validate

EXTRA = ROOT / 'configs/extra'
PARAMETERS = {
    'fcn_mbv2ca_voc': 4_918_629,
    'pspnet_mbv2ca_voc': 5_689_701,
    'deeplabv3plus_mbv2ca_voc': 5_787_029,
    'lraspp_mbv2ca_cityscapes': 2_406_243,
    'retinanet_mbv2ca_coco': 5_105_476,
    'fcos_mbv2ca_coco': 4_332_842,
    'yolox_mbv2ca_coco': 2_774_431,
    'mask_rcnn_mbv2ca_coco': 22_283_584,
    'retinanet_r50ca_coco': 38_104_188,
}
SMALL = {  # what makes a step cheap
    'lraspp_mbv2ca_cityscapes': {
        'model.backbone.widen_factor': 0.25,
        'model.decode_head.in_channels': (8, 8, 80),
    },
    'mask_rcnn_mbv2ca_coco': {
        'model.roi_head.bbox_head.fc_out_channels': 16,
        'model.train_cfg.rcnn.sampler.num': 16,
        'model.test_cfg.rcnn.score_thr': 0.0,
        'model.test_cfg.rcnn.max_per_img': 5,
    },
    'retinanet_r50ca_coco': {
        'model.backbone.base_channels': 8,
        'model.backbone.init_cfg': None,
        'model.backbone.zero_init_residual': False,  # all layers move in the first step
        'model.neck.in_channels': [32, 64, 128, 256],
    },
}


def test_all_are_listed():
    assert {path.stem for path in EXTRA.glob('*.py')} == {*PARAMETERS}
    inside = {path.stem for path in (ROOT / 'configs').glob('*.py')}
    assert not inside & {*PARAMETERS}  # mim finds configs by their name


@pytest.mark.parametrize('name', PARAMETERS)
def test_parameters(name):
    model = build(EXTRA / f'{name}.py')
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize('name', PARAMETERS)
def test_trains_a_step_and_validates_a_batch(name):
    cfg = Config.fromfile(EXTRA / f'{name}.py')
    torch.manual_seed(0)
    model = build(EXTRA / f'{name}.py', SMALL.get(name))
    if cfg.default_scope == 'mmseg':
        # mmseg's LR-ASPP pools over 49x49 of the features at stride 8.
        side = 392 if 'lraspp' in name else 64
        [prediction, _] = train_and_validate(model, drawn_batch('mmseg', side))
        assert prediction.pred_sem_seg.data.shape == (1, side, side)
        return
    has_masks = 'mask' in name
    [prediction, _] = train_and_validate(model, drawn_batch('mmdet', 64, has_masks))
    instances = prediction.pred_instances
    assert len(instances) <= 100 and instances.bboxes.shape[1] == 4
    if has_masks:
        assert len(instances) and instances.masks.shape == (len(instances), 64, 64)


@pytest.mark.parametrize('name', PARAMETERS)
def test_data_and_schedule_are_whole(name):
    cfg = Config.fromfile(EXTRA / f'{name}.py')
    import_modules_from_strings(**cfg.custom_imports)
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end or 'cityscapes' in name
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            for leaf in loader.dataset.get('datasets', [loader.dataset]):
                for transform in leaf.pipeline:
                    TRANSFORMS.build(transform)


def test_log_names_what_a_resnets_weights_do_not_have(tmp_path, capsys):
    options = SMALL['retinanet_r50ca_coco']
    plain = build(EXTRA / 'retinanet_r50ca_coco.py', options | {'model.backbone.plugins': None})
    weights = plain.backbone.state_dict()
    torch.save(weights, tmp_path / 'resnet.pth')
    pretrained = dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet.pth'))
    model = build(
        EXTRA / 'retinanet_r50ca_coco.py', options | {'model.backbone.init_cfg': pretrained}
    )
    MMLogger.get_instance('extra')
    model.backbone.init_weights()
    logged = capsys.readouterr()
    assert 'missing keys in source state_dict: layer1.0.coordinate_attention' in (
        logged.out + logged.err
    )
    own = model.backbone.state_dict()
    assert all(torch.equal(own[key], value) for key, value in weights.items())
    assert all('coordinate_attention' in key for key in own.keys() - weights.keys())
