_base_ = [
    'mmdet::_base_/models/retinanet_r50_fpn.py',
    '../_base_/detection.py',
    '../_base_/datasets/coco.py',
    '../_base_/schedules/coco_90k.py',
]
# Coordinate attention as a plugin of mmdet's ResNet-50, after the 3x3 convolution of each block.
# The ResNet's ImageNet weights load; the log names the attentions' parameters as missing: they
# start new.
model = dict(
    backbone=dict(
        plugins=[
            dict(
                cfg=dict(type='mmca.CoordinateAttention', reduction=32),
                stages=(True, True, True, True),
                position='after_conv2',
            )
        ]
    )
)
train_dataloader = dict(batch_size=16)
optim_wrapper = dict(optimizer=dict(lr=0.01))
default_hooks = dict(checkpoint=dict(interval=10000, save_best='coco/bbox_mAP'))
