_base_ = './ssdlite320_mbv2_sample.py'
# Nothing is published for EfficientNet here: neck, head and recipe are those of MobileNetV2, with
# 112 channels at stride 16.
model = dict(
    backbone=dict(type='mmca.EfficientNet'),
    bbox_head=dict(in_channels=(112, 1280, 512, 256, 256, 64)),
)
