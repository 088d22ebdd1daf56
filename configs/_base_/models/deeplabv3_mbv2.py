# DeepLabV3 on MobileNetV2 at output stride 16: 4.5 M parameters with 21 classes.
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        # The train pipelines pad to the crop; this only has to be given.
        size_divisor=1,
    ),
    backbone=dict(
        type='mmca.MobileNetV2',
        # The 320-channel features, without the 1280-channel layer: fits the tables' 4.5 M.
        out_indices=(6,),
        output_stride=16,
        # ImageNet checkpoint with the same attention, loaded strictly:
        # --cfg-options model.backbone.pretrained=PATH
        pretrained=None,
    ),
    decode_head=dict(
        type='mmca.DeepLabV3Head',
        in_channels=320,
        in_index=0,
        channels=256,
        # Rates and dropout are DeepLab practice; the CA authors do not publish theirs.
        dilations=(1, 6, 12, 18),
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
