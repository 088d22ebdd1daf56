_base_ = './mbv2ca_imagenet.py'
model = dict(backbone=dict(widen_factor=0.75))
