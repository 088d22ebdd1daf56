_base_ = [
    './_base_/segmentation.py',
    './_base_/models/deeplabv3_mbv2.py',
    './_base_/datasets/sample.py',
    './_base_/schedules/sample_400.py',
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=100))
