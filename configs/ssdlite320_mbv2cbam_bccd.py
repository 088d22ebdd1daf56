_base_ = './ssdlite320_mbv2_bccd.py'
model = dict(backbone=dict(attention=dict(type='mmca.CBAM', reduction=24)))
