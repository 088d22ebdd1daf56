"""Names in torchvision's ``mobilenet_v2`` and ``efficientnet_b0``."""

from mmca.models.backbones import EfficientNet, MobileNetV2

from .scheme import SE, Pairs, Scheme, blocks, build, conv_and_norm, squeeze_excitation


def _mobilenet_pairs() -> Pairs:
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


def _efficientnet_pairs() -> Pairs:
    pairs = conv_and_norm('features.0.0', 'features.0.1', 'backbone.conv1')
    for block_name, block in blocks(build(EfficientNet, attention=SE)):
        for i, (name, _) in enumerate(block.named_layers()):
            theirs = f'{block_name.replace("backbone.layer", "features.")}.block.{i}'
            ours = f'{block_name}.{name}'
            if name == 'attention':
                pairs += squeeze_excitation(f'{theirs}.fc1', f'{theirs}.fc2', ours)
            else:
                pairs += conv_and_norm(f'{theirs}.0', f'{theirs}.1', ours)
    pairs += conv_and_norm('features.8.0', 'features.8.1', 'backbone.conv2')
    return (*pairs, ('classifier.1', 'head.fc'))


MOBILENET_V2 = Scheme('torchvision', "torchvision's mobilenet_v2", MobileNetV2, _mobilenet_pairs())
EFFICIENTNET_B0 = Scheme(
    'torchvision', "torchvision's efficientnet_b0", EfficientNet, _efficientnet_pairs(), SE
)
