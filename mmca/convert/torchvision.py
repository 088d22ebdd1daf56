"""Names in torchvision's ``mobilenet_v2``."""

from mmca.models.backbones import MobileNetV2

from .scheme import Pairs, Scheme, blocks, build, conv_and_norm


def _pairs() -> Pairs:
    pairs = conv_and_norm('features.0.0', 'features.0.1', 'backbone.conv1')
    inverted_residuals = blocks(build(MobileNetV2))
    for number, (block_name, block) in enumerate(inverted_residuals, start=1):
        *activated, projection = (name for name, _ in block.named_layers())
        theirs = f'features.{number}.conv'
        for i, name in enumerate(activated):
            pairs += conv_and_norm(f'{theirs}.{i}.0', f'{theirs}.{i}.1', f'{block_name}.{name}')
        i = len(activated)
        pairs += conv_and_norm(f'{theirs}.{i}', f'{theirs}.{i + 1}', f'{block_name}.{projection}')
    last = f'features.{len(inverted_residuals) + 1}'
    pairs += conv_and_norm(f'{last}.0', f'{last}.1', 'backbone.conv2')
    return (*pairs, ('classifier.1', 'head.fc'))


MOBILENET_V2 = Scheme('torchvision', "torchvision's mobilenet_v2", MobileNetV2, _pairs())
