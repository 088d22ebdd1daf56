_base_ = './ssdlite320_mbv2_sample.py'
model = dict(backbone=dict(attention=dict(type='mmca.CBAM', reduction=24)))
