# MnasNet-A1 with a linear classifier: 3.89 M parameters with 1000 classes.
_base_ = './mbv2_classifier.py'
model = dict(backbone=dict(type='mmca.MnasNet'))
