_base_ = './mbv2cbam_imagenet.py'
model = dict(backbone=dict(widen_factor=0.75))
