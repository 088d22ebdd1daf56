"""Whose names the keys of a checkpoint are, told by a few of them."""

from collections.abc import Collection

# Names that `mmca.convert` can translate, each by keys that only its networks have together.
_SIGNATURES = {
    "torchvision's mobilenet_v2": ('features.0.0.weight', 'features.2.conv.1.0.weight'),
    "the CA authors' MobileNetV2 with coordinate attention": (
        'features.0.0.weight',
        'features.2.conv.6.conv1.weight',
    ),
    "the authors' MobileNeXt": ('features.0.0.weight', 'features.2.conv.8.weight'),
    "mmpretrain's or mmseg's MobileNetV2": (
        'backbone.conv1.conv.weight',
        'backbone.layer2.0.conv.0.conv.weight',
    ),
    "mmpretrain's or mmseg's MobileNetV2, a bare backbone": (
        'conv1.conv.weight',
        'layer2.0.conv.0.conv.weight',
    ),
    "torchvision's efficientnet_b0": ('features.0.0.weight', 'features.1.0.block.1.fc1.weight'),
    "timm's efficientnet_b0": ('conv_stem.weight', 'blocks.0.0.se.conv_reduce.weight'),
    "mmpretrain's EfficientNet-B0": (
        'backbone.layers.0.conv.weight',
        'backbone.layers.1.0.se.conv1.conv.weight',
    ),
    "mmpretrain's EfficientNet-B0, a bare backbone": (
        'layers.0.conv.weight',
        'layers.1.0.se.conv1.conv.weight',
    ),
}
# Layers that tell one attention from another, the first that is there.
_ATTENTION_SIGNATURES = {
    'conv1': 'CoordinateAttention',
    'conv_spatial': 'CBAM',
    'conv_reduce': 'SqueezeExcitation',
    'conv': 'ECA',
    'conv_hc': 'TripletAttention',
    'conv3x3': 'EMA',
    'query': 'SCSA',
    'norm_h': 'ELA',
    'conv_h': 'StripAttention',
}


def foreign_names(keys: Collection[str]) -> str | None:
    """Whose names the keys are, if ``tools/convert_checkpoint.py`` can translate them to ours."""
    for title, signature in _SIGNATURES.items():
        if all(key in keys for key in signature):
            return title
    return None


def attention_of(keys: Collection[str]) -> str:
    """Name of the attention that a model's or a checkpoint's keys show, or ``'no attention'``."""
    layers = {key.partition('.attention.')[2].partition('.')[0] for key in keys} - {''}
    if not layers:
        return 'no attention'
    known = (name for layer, name in _ATTENTION_SIGNATURES.items() if layer in layers)
    return next(known, 'another attention')
