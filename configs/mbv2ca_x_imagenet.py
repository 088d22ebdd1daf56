# One direction only, along the width: X attention of the paper's ablation (Table 1). With the
# reduction of its squeeze-excitation: 3.891 M parameters, as many as squeeze-excitation has there;
# with reduction 32 it would have 3.800 M.
_base_ = './mbv2ca_imagenet.py'
model = dict(backbone=dict(attention=dict(axes='w', reduction=24)))
