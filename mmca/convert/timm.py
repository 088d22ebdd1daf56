"""Names in timm's ``efficientnet_b0``."""

from mmca.models.backbones import EfficientNet

from .scheme import SE, Pairs, Scheme, blocks, build, conv_and_norm, squeeze_excitation


def _pairs() -> Pairs:
    pairs = conv_and_norm('conv_stem', 'bn1', 'backbone.conv1')
    for block_name, block in blocks(build(EfficientNet, attention=SE)):
        _, layer, number = block_name.split('.')
        theirs = f'blocks.{int(layer.removeprefix("layer")) - 1}.{number}'
        expands = 'expand_conv' in dict(block.named_layers())
        names = ['conv_pw', 'conv_dw', 'conv_pwl'] if expands else ['conv_dw', 'conv_pw']
        convs = [name for name, _ in block.named_layers() if name != 'attention']
        for i, (name, ours) in enumerate(zip(names, convs, strict=True), start=1):
            pairs += conv_and_norm(f'{theirs}.{name}', f'{theirs}.bn{i}', f'{block_name}.{ours}')
        pairs += squeeze_excitation(
            f'{theirs}.se.conv_reduce', f'{theirs}.se.conv_expand', f'{block_name}.attention'
        )
    pairs += conv_and_norm('conv_head', 'bn2', 'backbone.conv2')
    return (*pairs, ('classifier', 'head.fc'))


EFFICIENTNET_B0 = Scheme(
    'timm',
    "timm's efficientnet_b0",
    EfficientNet,
    _pairs(),
    SE,
    note='if these are tf_efficientnet_b0, which has the same names, set in the backbone '
    "norm_cfg=dict(type='BN', eps=1e-3) and conv_cfg=dict(type='Conv2dAdaptivePadding')",
)
