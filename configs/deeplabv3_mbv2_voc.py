_base_ = [
    './_base_/segmentation.py',
    './_base_/models/deeplabv3_mbv2.py',
    './_base_/datasets/voc2012_aug.py',
    './_base_/schedules/voc2012_30k.py',
]
default_hooks = dict(checkpoint=dict(interval=3000))
