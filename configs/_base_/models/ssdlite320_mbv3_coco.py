# SSDLite320 on MobileNetV3-Large: 5.01 M parameters; the quoted row prints 5.0 M.
_base_ = './ssdlite320_mbv1_coco.py'
model = dict(
    # C4 is the expansion of the 13th block, C5 the last convolution: MobileNetV3's paper, without
    # the halved channels of its smaller variant.
    backbone=dict(type='mmca.MobileNetV3', expanded_indices=(13,), out_indices=(16,)),
    neck=dict(in_channels=(672, 960), out_channels=(672, 960, 512, 256, 256, 128)),
    bbox_head=dict(in_channels=(672, 960, 512, 256, 256, 128)),
)
