_base_ = './deeplabv3_effnetb0_voc.py'
# Squeeze-excitation as in the original.
model = dict(
    backbone=dict(
        attention=dict(type='mmca.SqueezeExcitation', reduction=24, act_cfg=dict(type='SiLU'))
    )
)
