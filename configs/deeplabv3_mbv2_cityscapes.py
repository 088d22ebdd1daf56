_base_ = [
    './_base_/segmentation.py',
    './_base_/models/deeplabv3_mbv2.py',
    './_base_/datasets/cityscapes.py',
    './_base_/schedules/cityscapes_180e.py',
]
model = dict(decode_head=dict(num_classes=19))
default_hooks = dict(checkpoint=dict(interval=4000))
