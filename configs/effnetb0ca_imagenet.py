_base_ = './effnetb0_imagenet.py'
model = dict(backbone=dict(attention=dict(type='mmca.CoordinateAttention', reduction=32)))
