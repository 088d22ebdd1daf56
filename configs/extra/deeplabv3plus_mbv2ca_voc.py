_base_ = '../deeplabv3_mbv2ca_voc.py'
# DeepLabV3+, mmseg's settings with fewer channels; data and recipe are DeepLabV3's.
model = dict(
    backbone=dict(out_indices=(1, 6)),
    decode_head=dict(
        _delete_=True,
        type='DepthwiseSeparableASPPHead',
        in_channels=320,
        in_index=1,
        channels=256,
        dilations=(1, 6, 12, 18),
        c1_in_channels=24,
        c1_channels=48,
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True),
    ),
)
