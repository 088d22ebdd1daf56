_base_ = './mbv2cbam_imagenet.py'
model = dict(backbone=dict(attention=dict(reduction=12)))
