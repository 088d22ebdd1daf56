_base_ = '../ssdlite320_mbv2ca_coco.py'
# YOLOX's neck, head and assignment with the settings of mmdet's nano one at 96 channels, on
# SSDLite320's data and recipe: without YOLOX's mosaic, mixup and averaged weights.
norm_cfg = dict(type='BN', momentum=0.03, eps=0.001)
model = dict(
    type='YOLOX',
    data_preprocessor=dict(pad_size_divisor=32),
    # 32, 96 and 320 channels at strides 8, 16 and 32.
    backbone=dict(out_indices=(2, 4, 6)),
    neck=dict(
        _delete_=True,
        type='YOLOXPAFPN',
        in_channels=[32, 96, 320],
        out_channels=96,
        num_csp_blocks=1,
        use_depthwise=True,
        norm_cfg=norm_cfg,
        act_cfg=dict(type='Swish'),
    ),
    bbox_head=dict(
        _delete_=True,
        type='YOLOXHead',
        num_classes=80,
        in_channels=96,
        feat_channels=96,
        stacked_convs=2,
        strides=(8, 16, 32),
        use_depthwise=True,
        norm_cfg=norm_cfg,
        act_cfg=dict(type='Swish'),
    ),
    train_cfg=dict(_delete_=True, assigner=dict(type='SimOTAAssigner', center_radius=2.5)),
    test_cfg=dict(
        _delete_=True, score_thr=0.01, nms=dict(type='nms', iou_threshold=0.65), max_per_img=100
    ),
)
