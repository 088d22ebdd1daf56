_base_ = './effnetb0_sample.py'
model = dict(backbone=dict(attention=dict(type='mmca.CBAM', reduction=24)))
