# From ImageNet features: model.backbone.pretrained=PATH names the plain classifier's weights.
_base_ = './ssdlite320_mbv2_bccd.py'
