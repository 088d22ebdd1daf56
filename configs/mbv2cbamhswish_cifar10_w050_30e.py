# Coordinate attention's h-swish in the place of ReLU.
_base_ = './mbv2cbam_cifar10_w050_30e.py'
model = dict(backbone=dict(attention=dict(act_cfg=dict(type='HSwish'))))
