_base_ = './deeplabv3_mbv2_sample.py'
# Output stride 8; its rates are DeepLab practice.
model = dict(backbone=dict(output_stride=8), decode_head=dict(dilations=(1, 12, 24, 36)))
