_base_ = '../ssdlite320_mbv2ca_coco.py'
# RetinaNet with mmdet's settings, on SSDLite320's data and recipe.
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(pad_size_divisor=32),
    # 32, 96 and 320 channels at strides 8, 16 and 32.
    backbone=dict(out_indices=(2, 4, 6)),
    neck=dict(
        _delete_=True,
        type='FPN',
        in_channels=[32, 96, 320],
        out_channels=128,
        add_extra_convs='on_output',
        num_outs=5,
    ),
    bbox_head=dict(
        _delete_=True,
        type='RetinaHead',
        num_classes=80,
        in_channels=128,
        stacked_convs=4,
        feat_channels=128,
        anchor_generator=dict(
            type='AnchorGenerator',
            octave_base_scale=4,
            scales_per_octave=3,
            ratios=[0.5, 1.0, 2.0],
            strides=[8, 16, 32, 64, 128],
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0),
    ),
    train_cfg=dict(
        _delete_=True,
        assigner=dict(
            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=0.4,
            min_pos_iou=0,
            ignore_iof_thr=-1,
        ),
        sampler=dict(type='PseudoSampler'),
        allowed_border=-1,
        pos_weight=-1,
        debug=False,
    ),
    test_cfg=dict(nms_pre=1000),
)
