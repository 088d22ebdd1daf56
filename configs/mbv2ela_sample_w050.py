_base_ = './mbv2_sample_w050.py'
model = dict(backbone=dict(attention=dict(type='mmca.ELA')))
