_base_ = [
    './_base_/classification.py',
    './_base_/models/mbv1_classifier.py',
    './_base_/datasets/imagenet.py',
    './_base_/schedules/imagenet_200e.py',
]
# The backbone of a quoted detector; the CA paper's recipe for MobileNetV2 is this project's choice.
