_base_ = './deeplabv3_effnetb0_voc.py'
model = dict(backbone=dict(attention=dict(type='mmca.CoordinateAttention', reduction=32)))
