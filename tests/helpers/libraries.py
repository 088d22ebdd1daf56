"""Tiny configs of mmdet and mmpretrain with the backbone, as a user would write them."""

from pathlib import Path

import numpy as np
from PIL import Image

from helpers.tools import ROOT

BASE = ROOT / 'configs/_base_/default_runtime.py'

DETECTION = """\
_base_ = {base!r}
default_scope = 'mmdet'
custom_imports = dict(imports=['mmca'], allow_failed_imports=False)
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[124, 116, 104], std=[58, 57, 57], pad_size_divisor=32
    ),
    backbone=dict(
        type='mmca.MobileNetV2',
        attention=dict(type='mmca.CoordinateAttention'),
        widen_factor=0.25,
        out_indices=(2, 4, 6),
    ),
    neck=dict(type='FPN', in_channels=[8, 24, 80], out_channels=16, num_outs=5),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=20,
        in_channels=16,
        feat_channels=16,
        stacked_convs=1,
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        anchor_generator=dict(
            type='AnchorGenerator',
            octave_base_scale=4,
            scales_per_octave=1,
            ratios=[1.0],
            strides=[8, 16, 32, 64, 128],
        ),
    ),
    train_cfg=dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4),
        allowed_border=-1,
        pos_weight=-1,
    ),
    test_cfg=dict(
        nms_pre=50, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=5
    ),
)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='VOCDataset',
        data_root={data_root!r},
        ann_file='VOC2012/ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root='VOC2012/'),
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='VOCDataset',
        data_root={data_root!r},
        ann_file='VOC2012/ImageSets/Main/val.txt',
        data_prefix=dict(sub_data_root='VOC2012/'),
        test_mode=True,
        pipeline=[pipeline[0], pipeline[2], pipeline[1], pipeline[3]],  # boxes as in the file
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='VOCMetric', metric='mAP')
test_evaluator = val_evaluator
default_hooks = dict(visualization=dict(type='DetVisualizationHook'))
visualizer = dict(type='DetLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
"""

CLASSIFICATION = """\
_base_ = {base!r}
default_scope = 'mmpretrain'
custom_imports = dict(imports=['mmca'], allow_failed_imports=False)
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmca.MobileNetV2',
        attention=dict(type='mmca.CoordinateAttention'),
        widen_factor=0.25,
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=1280, topk=(1,)),
)
data_preprocessor = dict(num_classes=2, mean=[124, 116, 104], std=[58, 57, 57], to_rgb=True)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(32, 32)),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='CustomDataset', data_root={data_root!r}, pipeline=pipeline),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CustomDataset', data_root={data_root!r}, pipeline=pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
default_hooks = dict(visualization=dict(type='VisualizationHook'))
visualizer = dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
train_cfg = dict(by_epoch=True, max_epochs=1)
val_cfg = dict()
test_cfg = dict()
"""


def write_detection_config(folder: Path, sample_voc: Path) -> Path:
    """A RetinaNet on the sample's boxes."""
    config = folder / 'retinanet.py'
    config.write_text(DETECTION.format(base=str(BASE), data_root=str(sample_voc.parent)))
    return config


def write_classification_config(folder: Path) -> Path:
    """A classifier, and eight pictures of noise in two classes in ``folder/images``."""
    rng = np.random.default_rng(0)
    for index in range(8):
        images = folder / 'images' / f'class{index % 2}'
        images.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(images / f'{index}.png')
    config = folder / 'classifier.py'
    config.write_text(CLASSIFICATION.format(base=str(BASE), data_root=str(folder / 'images')))
    return config
