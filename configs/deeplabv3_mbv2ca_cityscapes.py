_base_ = './deeplabv3_mbv2_cityscapes.py'
model = dict(backbone=dict(attention=dict(type='mmca.CoordinateAttention', reduction=32)))
