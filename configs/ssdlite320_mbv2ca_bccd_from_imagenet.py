_base_ = './ssdlite320_mbv2_bccd_from_imagenet.py'
model = dict(
    backbone=dict(
        attention=dict(type='mmca.CoordinateAttention', reduction=32),
        # Into the plain network's weights that it starts from.
        insert_attention=True,
    )
)
