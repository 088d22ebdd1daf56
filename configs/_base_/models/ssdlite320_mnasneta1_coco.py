# SSDLite320 on MnasNet-A1: 4.90 M parameters; the quoted row prints 4.9 M.
_base_ = './ssdlite320_mbv1_coco.py'
model = dict(
    # C4 is the expansion inside the first block at stride 32, as in MobileNetV2's paper.
    backbone=dict(type='mmca.MnasNet', expanded_indices=(5,), out_indices=(7,)),
    neck=dict(in_channels=(672, 1280), out_channels=(672, 1280, 512, 256, 256, 128)),
    bbox_head=dict(in_channels=(672, 1280, 512, 256, 256, 128)),
)
