_base_ = './mbv2_sample.py'
model = dict(backbone=dict(widen_factor=0.5))
