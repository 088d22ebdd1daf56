# MobileNeXt with a linear classifier: 3.5 M parameters with 1000 classes.
_base_ = './mbv2_classifier.py'
model = dict(
    backbone=dict(type='mmca.MobileNeXt'),
    # Of the authors' MobileNeXt.
    head=dict(dropout=0.2),
)
