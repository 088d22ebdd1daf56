_base_ = [
    './_base_/classification.py',
    './_base_/models/mbv2_classifier.py',
    './_base_/datasets/cifar10.py',
    './_base_/schedules/cifar10_30e.py',
]
model = dict(backbone=dict(widen_factor=0.5), head=dict(num_classes=10))
