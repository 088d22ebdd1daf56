_base_ = './ssdlite320_effnetb0_coco.py'
model = dict(backbone=dict(attention=dict(type='mmca.CBAM', reduction=24)))
