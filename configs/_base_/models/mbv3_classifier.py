# MobileNetV3-Large: 5.48 M parameters with 1000 classes.
_base_ = './mbv2_classifier.py'
model = dict(
    backbone=dict(type='mmca.MobileNetV3', out_indices=(16,)),
    head=dict(
        _delete_=True,
        type='StackedLinearClsHead',
        in_channels=960,
        mid_channels=[1280],
        num_classes=1000,
        dropout_rate=0.2,
        act_cfg=dict(type='HSwish'),
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
)
