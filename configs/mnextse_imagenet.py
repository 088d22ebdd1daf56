_base_ = './mnext_imagenet.py'
model = dict(backbone=dict(attention=dict(type='mmca.SqueezeExcitation', reduction=24)))
