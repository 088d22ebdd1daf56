_base_ = './mnext_sample.py'
model = dict(backbone=dict(attention=dict(type='mmca.CoordinateAttention', reduction=24)))
