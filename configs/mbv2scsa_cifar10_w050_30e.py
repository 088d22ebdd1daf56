_base_ = './mbv2_cifar10_w050_30e.py'
model = dict(backbone=dict(attention=dict(type='mmca.SCSA')))
