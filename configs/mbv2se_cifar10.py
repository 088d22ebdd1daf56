_base_ = './mbv2_cifar10.py'
model = dict(backbone=dict(attention=dict(type='mmca.SqueezeExcitation', reduction=24)))
