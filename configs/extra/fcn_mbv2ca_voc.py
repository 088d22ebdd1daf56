_base_ = '../deeplabv3_mbv2ca_voc.py'
# FCN's head, mmseg's settings with fewer channels; data and recipe are DeepLabV3's.
model = dict(
    backbone=dict(out_indices=(6,)),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=320,
        in_index=0,
        channels=256,
        num_convs=2,
        concat_input=True,
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True),
    ),
)
