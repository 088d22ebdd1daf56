_base_ = './mnextca_imagenet.py'
model = dict(backbone=dict(widen_factor=0.75))
