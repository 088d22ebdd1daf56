_base_ = './mbv2_imagenet.py'
model = dict(backbone=dict(widen_factor=0.5))
