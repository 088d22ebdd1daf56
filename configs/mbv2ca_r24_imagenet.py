_base_ = './mbv2ca_imagenet.py'
model = dict(backbone=dict(attention=dict(reduction=24)))
