_base_ = './deeplabv3_mbv2_camvid.py'
model = dict(backbone=dict(attention=dict(type='mmca.SqueezeExcitation', reduction=24)))
