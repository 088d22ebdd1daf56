# MobileNetV2 with a linear classifier: 3.5 M parameters with 1000 classes.
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
    backbone=dict(type='mmca.MobileNetV2', out_indices=(7,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='mmca.LinearClsHead',
        in_channels=1280,
        num_classes=1000,
        # Of the CA authors' MobileNetV2.
        dropout=0.1,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
)
