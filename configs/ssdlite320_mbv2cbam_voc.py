_base_ = './ssdlite320_mbv2_voc.py'
model = dict(backbone=dict(attention=dict(type='mmca.CBAM', reduction=24)))
