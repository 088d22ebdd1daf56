_base_ = [
    './_base_/detection.py',
    './_base_/models/ssdlite320_mnasneta1_coco.py',
    './_base_/datasets/sample_coco.py',
    './_base_/schedules/sample_detection_200.py',
]
model = dict(bbox_head=dict(num_classes=20))
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=100, save_best='coco/bbox_mAP_50')
)
