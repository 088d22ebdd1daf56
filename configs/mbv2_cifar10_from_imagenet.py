# From ImageNet features: model.backbone.pretrained=PATH names the plain classifier's weights.
_base_ = [
    './_base_/classification.py',
    './_base_/models/mbv2_classifier.py',
    './_base_/datasets/cifar10.py',
    './_base_/schedules/cifar10_3e.py',
]
model = dict(head=dict(num_classes=10))
