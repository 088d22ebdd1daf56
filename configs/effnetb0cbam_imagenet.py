_base_ = './effnetb0_imagenet.py'
model = dict(backbone=dict(attention=dict(type='mmca.CBAM', reduction=24)))
