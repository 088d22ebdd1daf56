# Coordinate attention's h-swish in the place of ReLU.
_base_ = './mbv2cbam_sample_w050.py'
model = dict(backbone=dict(attention=dict(act_cfg=dict(type='HSwish'))))
