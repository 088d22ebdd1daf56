_base_ = [
    './_base_/detection.py',
    './_base_/models/ssdlite320_mnext_voc.py',
    './_base_/datasets/voc0712.py',
    './_base_/schedules/ssdlite_voc_60k.py',
]
default_hooks = dict(checkpoint=dict(interval=5000, save_best='pascal_voc/mAP'))
# The authors synchronise batch norm on COCO only.
sync_bn = None
