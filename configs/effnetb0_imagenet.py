_base_ = [
    './_base_/classification.py',
    './_base_/models/effnetb0_classifier.py',
    './_base_/datasets/imagenet.py',
    './_base_/schedules/effnet_350e.py',
]
# Batch norm momentum 0.99 in TensorFlow's sense. An open point is AutoAugment, which the original
# has: the CA authors do not say whether they used it, and it is not here.
model = dict(backbone=dict(norm_cfg=dict(type='BN', momentum=0.01)))
