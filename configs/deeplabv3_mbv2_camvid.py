_base_ = [
    './_base_/segmentation.py',
    './_base_/models/deeplabv3_mbv2.py',
    './_base_/datasets/camvid.py',
    './_base_/schedules/camvid_30e.py',
]
model = dict(decode_head=dict(num_classes=11, ignore_index=11))
default_hooks = dict(checkpoint=dict(interval=230))
