# SSDLite320 on MobileNeXt, with the authors' settings for COCO: 4.54 M parameters.
_base_ = './ssdlite320_mbv2_coco.py'
model = dict(
    backbone=dict(
        type='mmca.MobileNeXt',
        # The features inside the last stride-2 block and inside the last block (576 and 1280
        # channels at strides 16 and 32) are the levels; the output feeds the extra layers.
        expanded_indices=(5, 7),
        out_indices=(7,),
    ),
    neck=dict(
        out_channels=(512, 256, 256, 128),
        hidden_ratios=(0.2, 0.25, 0.5, 0.5),
        block='sandglass',
    ),
    bbox_head=dict(in_channels=(576, 1280, 512, 256, 256, 128)),
)
