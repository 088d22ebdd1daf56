_base_ = './mbv2_cifar10_from_imagenet.py'
model = dict(
    backbone=dict(
        attention=dict(type='mmca.SqueezeExcitation', reduction=24),
        # Into the plain network's weights that it starts from.
        insert_attention=True,
    )
)
