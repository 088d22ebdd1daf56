_base_ = [
    './_base_/classification.py',
    './_base_/models/effnetb0_classifier.py',
    './_base_/datasets/sample_imagenet.py',
    './_base_/schedules/sample_6e.py',
]
model = dict(head=dict(num_classes=20))
default_hooks = dict(logger=dict(interval=20))
