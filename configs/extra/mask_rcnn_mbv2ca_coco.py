_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/detection.py',
    '../_base_/datasets/coco.py',
    '../_base_/schedules/coco_90k.py',
]
# Mask R-CNN with mmdet's settings and schedule, at 640 pixels.
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmca.MobileNetV2',
        attention=dict(type='mmca.CoordinateAttention', reduction=32),
        # 24, 32, 96 and 320 channels at strides 4, 8, 16 and 32.
        out_indices=(1, 2, 4, 6),
        # ImageNet checkpoint with the same attention, loaded strictly:
        # --cfg-options model.backbone.pretrained=PATH
        pretrained=None,
    ),
    neck=dict(in_channels=[24, 32, 96, 320]),
)
train_pipeline = [
    dict(type='mmca.SeedAugmentation'),
    dict(type='mmca.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(640, 640), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='Resize', scale=(640, 640), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(interval=10000, save_best='coco/segm_mAP'))
