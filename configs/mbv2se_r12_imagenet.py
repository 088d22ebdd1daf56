_base_ = './mbv2se_imagenet.py'
model = dict(backbone=dict(attention=dict(reduction=12)))
