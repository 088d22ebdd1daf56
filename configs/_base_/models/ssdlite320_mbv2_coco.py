# SSDLite320 on MobileNetV2, as in the CA authors' ssdlite-pytorch-mobilenext with their settings
# for COCO: 4.30 M parameters.
model = dict(
    type='SingleStageDetector',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123, 117, 104],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=1,
    ),
    backbone=dict(
        type='mmca.MobileNetV2',
        # 96 channels at stride 16 and 1280 at stride 32.
        out_indices=(4, 7),
        # ImageNet checkpoint with the same attention, loaded strictly:
        # --cfg-options model.backbone.pretrained=PATH
        pretrained=None,
    ),
    neck=dict(
        type='mmca.SSDLiteNeck',
        in_channels=1280,
        out_channels=(512, 256, 256, 64),
        hidden_ratios=(0.2, 0.5, 0.5, 0.5),
        block='inverted_residual',
    ),
    bbox_head=dict(
        type='mmca.SSDLiteHead',
        num_classes=80,
        in_channels=(96, 1280, 512, 256, 256, 64),
        anchor_generator=dict(
            type='mmca.SSDLiteAnchorGenerator',
            input_size=320,
            strides=[16, 32, 64, 120, 160, 320],
            min_sizes=[45, 90, 135, 180, 225, 270],
            max_sizes=[90, 135, 180, 225, 270, 315],
            ratios=[[2, 3], [2, 3], [2, 3], [2, 3], [2, 3], [2]],
        ),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder',
            clip_border=False,
            target_means=[0.0, 0.0, 0.0, 0.0],
            target_stds=[0.1, 0.1, 0.2, 0.2],
        ),
        loss_cls=dict(type='mmca.SSDLiteFocalLoss', alpha=0.25, gamma=2.0, loss_weight=5.0),
    ),
    train_cfg=dict(
        # Each ground truth also takes its best prior.
        assigner=dict(
            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=0.5,
            min_pos_iou=0.0,
            ignore_iof_thr=-1,
            gt_max_assign_all=False,
        ),
        sampler=dict(type='PseudoSampler'),
        smoothl1_beta=1.0,
        allowed_border=-1,
        pos_weight=-1,
        neg_pos_ratio=3,
        debug=False,
    ),
    test_cfg=dict(
        # All that pass the threshold. mmdet's -1 would drop the lowest of each level.
        nms_pre=1000000,
        nms=dict(type='nms', iou_threshold=0.5),
        min_bbox_size=0,
        score_thr=0.05,
        max_per_img=100,
    ),
)
