_base_ = './ssdlite320_mnext_voc.py'
model = dict(backbone=dict(attention=dict(type='mmca.CoordinateAttention', reduction=24)))
