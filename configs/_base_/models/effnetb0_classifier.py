# EfficientNet-B0 with a linear classifier: 4.65 M parameters without attention and 1000 classes.
_base_ = './mbv2_classifier.py'
model = dict(
    # Dropout and stochastic depth of Tan and Le (ICML 2019), Sec. 5.2 and their code.
    backbone=dict(type='mmca.EfficientNet', drop_path_rate=0.2),
    head=dict(dropout=0.2),
)
