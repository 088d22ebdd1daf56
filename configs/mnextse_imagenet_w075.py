_base_ = './mnextse_imagenet.py'
model = dict(backbone=dict(widen_factor=0.75))
