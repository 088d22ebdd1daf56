"""Names in timm's ``efficientnet_b0``, ``semnasnet_100`` (MnasNet-A1) and ``mobilenetv1_100``."""

from mmca.models.backbones import EfficientNet, MnasNet, MobileNetV1
from mmca.models.backbones.staged_backbone import StagedBackbone

from .scheme import SE, Pairs, Scheme, blocks, build, conv_and_norm, squeeze_excitation


def _pairs(backbone: StagedBackbone) -> Pairs:
    pairs = conv_and_norm('conv_stem', 'bn1', 'backbone.conv1')
    for block_name, block in blocks(backbone):
        _, layer, number = block_name.split('.')
        theirs = f'blocks.{int(layer.removeprefix("layer")) - 1}.{number}'
        convs = [name for name, _ in block.named_layers() if name != 'attention']
        expands = 'expand_conv' in convs
        names = ['conv_pw', 'conv_dw', 'conv_pwl'] if expands else ['conv_dw', 'conv_pw']
        for i, (name, ours) in enumerate(zip(names, convs, strict=True), start=1):
            pairs += conv_and_norm(f'{theirs}.{name}', f'{theirs}.bn{i}', f'{block_name}.{ours}')
        if 'attention' in dict(block.named_layers()):
            pairs += squeeze_excitation(
                f'{theirs}.se.conv_reduce', f'{theirs}.se.conv_expand', f'{block_name}.attention'
            )
    if hasattr(backbone, 'conv2'):
        pairs += conv_and_norm('conv_head', 'bn2', 'backbone.conv2')
    return (*pairs, ('classifier', 'head.fc'))


EFFICIENTNET_B0 = Scheme(
    'timm',
    "timm's efficientnet_b0",
    EfficientNet,
    _pairs(build(EfficientNet, attention=SE)),
    SE,
    note='if these are tf_efficientnet_b0, which has the same names, set in the backbone '
    "norm_cfg=dict(type='BN', eps=1e-3) and conv_cfg=dict(type='Conv2dAdaptivePadding')",
)
MNASNET_A1 = Scheme('timm', "timm's semnasnet_100", MnasNet, _pairs(build(MnasNet)), SE)
MOBILENET_V1 = Scheme('timm', "timm's mobilenetv1_100", MobileNetV1, _pairs(build(MobileNetV1)))
