_base_ = './mbv2_sample.py'
model = dict(backbone=dict(attention=dict(type='mmca.CoordinateAttention', reduction=32)))
