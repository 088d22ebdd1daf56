_base_ = [
    './_base_/detection.py',
    './_base_/models/ssdlite320_mnext_voc.py',
    './_base_/datasets/bccd.py',
    './_base_/schedules/bccd_400.py',
]
model = dict(bbox_head=dict(num_classes=3))
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=100, save_best='pascal_voc/mAP')
)
