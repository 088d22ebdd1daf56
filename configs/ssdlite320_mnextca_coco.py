_base_ = './ssdlite320_mnext_coco.py'
model = dict(backbone=dict(attention=dict(type='mmca.CoordinateAttention', reduction=24)))
