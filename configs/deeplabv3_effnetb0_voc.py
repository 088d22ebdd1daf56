_base_ = './deeplabv3_mbv2_voc.py'
# Nothing is published for EfficientNet here: head and recipe are those of MobileNetV2, on as many
# channels.
model = dict(backbone=dict(type='mmca.EfficientNet'))
