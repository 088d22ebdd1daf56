_base_ = './deeplabv3_mbv2_camvid_from_imagenet.py'
model = dict(
    backbone=dict(
        attention=dict(type='mmca.CBAM', reduction=24),
        # Into the plain network's weights that it starts from.
        insert_attention=True,
    )
)
