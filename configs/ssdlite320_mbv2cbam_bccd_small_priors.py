_base_ = './ssdlite320_mbv2_bccd_small_priors.py'
model = dict(
    backbone=dict(
        attention=dict(type='mmca.CBAM', reduction=24),
        # Into the plain network's weights that it starts from.
        insert_attention=True,
    )
)
