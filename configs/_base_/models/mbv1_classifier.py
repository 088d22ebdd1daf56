# MobileNetV1 with a linear classifier: 4.23 M parameters with 1000 classes.
_base_ = './mbv2_classifier.py'
model = dict(
    backbone=dict(type='mmca.MobileNetV1', out_indices=(4,)),
    head=dict(in_channels=1024),
)
