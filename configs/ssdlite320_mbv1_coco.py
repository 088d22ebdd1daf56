_base_ = [
    './_base_/detection.py',
    './_base_/models/ssdlite320_mbv1_coco.py',
    './_base_/datasets/coco.py',
    './_base_/schedules/ssdlite_coco_200k.py',
]
default_hooks = dict(checkpoint=dict(interval=10000, save_best='coco/bbox_mAP'))
