_base_ = './mbv2se_imagenet.py'
model = dict(backbone=dict(widen_factor=0.5))
