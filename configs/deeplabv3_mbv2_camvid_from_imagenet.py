# From ImageNet features: model.backbone.pretrained=PATH names the plain classifier's weights.
_base_ = './deeplabv3_mbv2_camvid.py'
# A fifth of the rate from scratch; this project's choice.
optim_wrapper = dict(optimizer=dict(lr=0.01))
