_base_ = './mbv2_cifar10.py'
model = dict(backbone=dict(attention=dict(type='mmca.CBAM', reduction=24)))
