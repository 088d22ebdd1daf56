_base_ = './effnetb0_imagenet.py'
# Squeeze-excitation as in the original.
model = dict(
    backbone=dict(
        attention=dict(type='mmca.SqueezeExcitation', reduction=24, act_cfg=dict(type='SiLU'))
    )
)
