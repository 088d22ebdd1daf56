"""Scope mmca works under each library with `custom_imports` alone, and from their own APIs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope, init_default_scope

CONFIGS = Path(__file__).parents[2] / 'configs'
CA = dict(type='mmca.CoordinateAttention', reduction=32)
BACKBONE = dict(type='mmca.MobileNetV2', attention=CA)
PLAIN_IMAGE = np.random.default_rng(0).integers(0, 255, (72, 104, 3), np.uint8)


@pytest.mark.parametrize('scope', ['mmseg', 'mmdet', 'mmpretrain'])
def test_backbone_builds_under_each_scope(scope):
    pytest.importorskip(scope)
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(BACKBONE)
    assert sum('attention.conv_h.weight' in k for k in model.state_dict()) == 16


@pytest.mark.parametrize('library', ['mmseg.models.backbones', 'mmdet.models.backbones'])
@pytest.mark.parametrize('attention', ['CoordinateAttention', 'SqueezeExcitation', 'CBAM'])
def test_attention_as_resnet_plugin(library, attention):
    resnet = pytest.importorskip(library).ResNet
    plugin = dict(
        cfg=dict(type=f'mmca.{attention}', reduction=16),
        stages=(False, True, True, True),
        position='after_conv2',
    )
    model = resnet(depth=50, plugins=[plugin])
    model.eval()
    owners = {type(m).__name__ for m in model.modules()}
    assert attention in owners
    with torch.no_grad():
        assert model(torch.randn(1, 3, 64, 64))[-1].shape == (1, 2048, 2, 2)


def test_import_needs_no_task_library():
    """A fresh process that imports mmca and builds a backbone loads none of the three."""
    code = (
        'import sys, mmca; from mmengine.registry import MODELS\n'
        f'MODELS.build({BACKBONE!r})\n'
        "print([m for m in ('mmseg', 'mmdet', 'mmpretrain') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == '[]'


def test_mmseg_apis_take_the_headline_config():
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    config = str(CONFIGS / 'deeplabv3_mbv2ca_voc.py')
    model = init_model(config, device='cpu')
    assert inference_model(model, PLAIN_IMAGE).pred_sem_seg.shape == (72, 104)

    inferencer = MMSegInferencer(model=Config.fromfile(config), device='cpu')
    result = inferencer(PLAIN_IMAGE, return_datasamples=True, show=False)
    assert result.pred_sem_seg.shape == (72, 104)


def detector_config() -> Config:
    """A small detector of mmdet's with our backbone: nothing of ours but `custom_imports`."""
    pytest.importorskip('mmdet')
    preprocessor = dict(type='DetDataPreprocessor', pad_size_divisor=32)
    return Config(
        dict(
            default_scope='mmdet',
            custom_imports=dict(imports=['mmca'], allow_failed_imports=False),
            model=dict(
                type='RetinaNet',
                data_preprocessor=preprocessor,
                backbone=dict(BACKBONE, out_indices=(2, 4, 7)),
                neck=dict(type='FPN', in_channels=[32, 96, 1280], out_channels=32, num_outs=5),
                bbox_head=dict(type='RetinaHead', num_classes=3, in_channels=32, feat_channels=32),
                test_cfg=dict(
                    nms_pre=100,
                    score_thr=0.0,
                    nms=dict(type='nms', iou_threshold=0.5),
                    max_per_img=5,
                ),
            ),
            test_dataloader=dict(
                dataset=dict(
                    type='CocoDataset',
                    metainfo=dict(classes=('a', 'b', 'c')),
                    pipeline=[
                        dict(type='LoadImageFromFile'),
                        dict(type='Resize', scale=(96, 96), keep_ratio=True),
                        dict(
                            type='PackDetInputs',
                            meta_keys=('ori_shape', 'img_shape', 'scale_factor'),
                        ),
                    ],
                )
            ),
            test_evaluator=dict(type='CocoMetric'),
            visualizer=dict(type='DetLocalVisualizer'),
        )
    )


def test_det_inferencer_takes_our_backbone(tmp_path):
    path = tmp_path / 'retinanet.py'
    detector_config().dump(path)
    from mmdet.apis import DetInferencer

    inferencer = DetInferencer(model=str(path), device='cpu', show_progress=False)
    boxes = inferencer(PLAIN_IMAGE, return_datasamples=True)['predictions'][0].pred_instances
    assert boxes.bboxes.shape == (5, 4)


def test_mmpretrain_classifier_takes_our_backbone():
    pytest.importorskip('mmpretrain')
    init_default_scope('mmpretrain')
    model = MODELS.build(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=BACKBONE,
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=1000, in_channels=1280),
        )
    )
    assert sum(p.numel() for p in model.parameters()) == 3_950_648
