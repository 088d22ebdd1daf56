_base_ = './deeplabv3_effnetb0_sample.py'
model = dict(backbone=dict(attention=dict(type='mmca.CoordinateAttention', reduction=32)))
