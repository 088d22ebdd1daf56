_base_ = './retinanet_mbv2ca_coco.py'
# FCOS with mmdet's settings, on SSDLite320's data and recipe. A gradient is clipped as mmdet does.
model = dict(
    type='FCOS',
    neck=dict(relu_before_extra_convs=True),
    bbox_head=dict(
        _delete_=True,
        type='FCOSHead',
        num_classes=80,
        in_channels=128,
        stacked_convs=4,
        feat_channels=128,
        strides=[8, 16, 32, 64, 128],
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='IoULoss', loss_weight=1.0),
        loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
    ),
    train_cfg=None,
)
optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
