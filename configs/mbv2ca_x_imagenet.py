# One direction only, along the width: X attention of the paper's ablation.
_base_ = './mbv2ca_imagenet.py'
model = dict(backbone=dict(attention=dict(axes='w')))
