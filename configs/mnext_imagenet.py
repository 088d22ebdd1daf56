_base_ = [
    './_base_/classification.py',
    './_base_/models/mnext_classifier.py',
    './_base_/datasets/imagenet.py',
    './_base_/schedules/imagenet_200e.py',
]
