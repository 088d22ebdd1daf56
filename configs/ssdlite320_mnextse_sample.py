_base_ = './ssdlite320_mnext_sample.py'
model = dict(backbone=dict(attention=dict(type='mmca.SqueezeExcitation', reduction=24)))
