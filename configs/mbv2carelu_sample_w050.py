# ReLU, as in the other attentions, in the place of h-swish.
_base_ = './mbv2ca_sample_w050.py'
model = dict(backbone=dict(attention=dict(act_cfg=dict(type='ReLU'))))
