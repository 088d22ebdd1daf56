# SSDLite320 on MobileNetV1: 5.21 M parameters; the quoted row prints 5.1 M.
# Taps (512 and 1024 channels at strides 16 and 32) and extra layers (1x1 to half the channels, then
# a depthwise separable convolution) are those of TensorFlow's SSDLite, with which the quoted rows
# were trained: papers of MobileNetV2, MobileNetV3 and MnasNet. Head, priors, losses and recipe are
# the CA authors', so that all rows compare backbones.
_base_ = './ssdlite320_mbv2_coco.py'
model = dict(
    backbone=dict(type='mmca.MobileNetV1', out_indices=(3, 4)),
    neck=dict(
        _delete_=True,
        type='SSDNeck',
        in_channels=(512, 1024),
        out_channels=(512, 1024, 512, 256, 256, 128),
        level_strides=(2, 2, 2, 2),
        level_paddings=(1, 1, 1, 1),
        l2_norm_scale=None,
        use_depthwise=True,
        norm_cfg=dict(type='BN'),
        act_cfg=dict(type='ReLU6'),
        init_cfg=dict(type='TruncNormal', layer='Conv2d', std=0.03),
    ),
    bbox_head=dict(in_channels=(512, 1024, 512, 256, 256, 128)),
)
