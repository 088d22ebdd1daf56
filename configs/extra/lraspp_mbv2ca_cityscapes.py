_base_ = '../deeplabv3_mbv2ca_cityscapes_s8.py'
# LR-ASPP of MobileNetV3's paper, mmseg's settings; data and recipe are DeepLabV3's. mmseg's head
# pools over 49x49 of the features: at output stride 8 crops and images need 392 pixels or more.
model = dict(
    backbone=dict(out_indices=(0, 1, 6)),
    decode_head=dict(
        _delete_=True,
        type='LRASPPHead',
        in_channels=(16, 24, 320),
        in_index=(0, 1, 2),
        channels=128,
        input_transform='multiple_select',
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True),
    ),
)
