"""Names in the code of CA's and MobileNeXt's authors: flat positions within each block."""

from mmca.models.backbones import MobileNetV2, MobileNeXt
from mmca.models.backbones.staged_backbone import StagedBackbone

from .scheme import Pairs, Scheme, blocks, build, conv_and_norm

# Their conv2 makes the gate along the height, from the profile that was averaged over the width.
_ATTENTION = {'conv1': 'conv1', 'bn1': 'bn1', 'conv2': 'conv_h', 'conv3': 'conv_w'}
_CA = dict(type='mmca.CoordinateAttention', reduction=32)


def _pairs(backbone: StagedBackbone) -> Pairs:
    pairs = conv_and_norm('features.0.0', 'features.0.1', 'backbone.conv1')
    for number, (block_name, block) in enumerate(blocks(backbone), start=1):
        position = 0
        for name, layer in block.named_layers():
            theirs, ours = f'features.{number}.conv', f'{block_name}.{name}'
            if name == 'attention':
                pairs += tuple(
                    (f'{theirs}.{position}.{part}', f'{ours}.{our_part}')
                    for part, our_part in _ATTENTION.items()
                )
                position += 1
            else:
                pairs += conv_and_norm(f'{theirs}.{position}', f'{theirs}.{position + 1}', ours)
                # Convolution, batch norm, and the activation if there is one.
                position += 2 + layer.with_activation
    return (*pairs, ('classifier.1', 'head.fc'))


MOBILENET_V2 = Scheme(
    'authors',
    "the CA authors' MobileNetV2 with coordinate attention",
    MobileNetV2,
    _pairs(build(MobileNetV2, attention=_CA)) + conv_and_norm('conv.0', 'conv.1', 'backbone.conv2'),
    attention=_CA,
)
MOBILENEXT = Scheme('authors', "the authors' MobileNeXt", MobileNeXt, _pairs(build(MobileNeXt)))
