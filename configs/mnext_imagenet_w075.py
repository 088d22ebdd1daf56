_base_ = './mnext_imagenet.py'
model = dict(backbone=dict(widen_factor=0.75))
