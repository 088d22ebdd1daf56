"""Names in OpenMMLab models: ours, mmpretrain's and mmseg's MobileNetV2, mmpretrain's EfficientNet.

Each of a whole model, with ``backbone.``, and of the backbone alone.
"""

from dataclasses import replace

from mmca.models.backbones import EfficientNet, MobileNetV2, MobileNeXt
from mmca.models.backbones.staged_backbone import StagedBackbone

from .scheme import SE, Pairs, Scheme, blocks, build, squeeze_excitation

_HEAD = ('head.fc', 'head.fc')


def _own_pairs(architecture: type[StagedBackbone]) -> Pairs:
    children = [f'backbone.{name}' for name, _ in build(architecture).named_children()]
    return (*((name, name) for name in children), _HEAD)


def _mmpretrain_pairs() -> Pairs:
    pairs = [('backbone.conv1', 'backbone.conv1')]
    for block_name, block in blocks(build(MobileNetV2)):
        for i, (name, _) in enumerate(block.named_layers()):
            pairs.append((f'{block_name}.conv.{i}', f'{block_name}.{name}'))
    return (*pairs, ('backbone.conv2', 'backbone.conv2'), _HEAD)


def _efficientnet_pairs() -> Pairs:
    pairs = (('backbone.layers.0', 'backbone.conv1'),)
    stage, number = 0, 0
    for block_name, block in blocks(build(EfficientNet, attention=SE)):
        # Their stages start where a stride is.
        starts = stage == 0 or block.depthwise_conv.stride == (2, 2)
        stage, number = (stage + 1, 0) if starts else (stage, number + 1)
        theirs = f'backbone.layers.{stage}.{number}'
        for name, _ in block.named_layers():
            ours = f'{block_name}.{name}'
            if name == 'attention':
                reduce, expand = f'{theirs}.se.conv1.conv', f'{theirs}.se.conv2.conv'
                pairs += squeeze_excitation(reduce, expand, ours)
            else:
                pairs += ((f'{theirs}.{name.replace("project", "linear")}', ours),)
    return (*pairs, ('backbone.layers.6', 'backbone.conv2'), _HEAD)


def _with_bare(scheme: Scheme) -> tuple[Scheme, Scheme]:
    pairs = tuple((theirs.removeprefix('backbone.'), ours) for theirs, ours in scheme.pairs)
    return scheme, replace(scheme, title=f'{scheme.title}, a bare backbone', pairs=pairs)


OWN = tuple(
    scheme
    for architecture in (MobileNetV2, MobileNeXt, EfficientNet)
    for scheme in _with_bare(
        Scheme('mmca', f"mmca's {architecture.__name__}", architecture, _own_pairs(architecture))
    )
)
MOBILENET_V2 = _with_bare(
    Scheme('mmpretrain', "mmpretrain's or mmseg's MobileNetV2", MobileNetV2, _mmpretrain_pairs())
)
EFFICIENTNET = _with_bare(
    Scheme(
        'mmpretrain',
        "mmpretrain's EfficientNet-B0",
        EfficientNet,
        _efficientnet_pairs(),
        SE,
        note="set in the backbone norm_cfg=dict(type='BN', eps=1e-3) and "
        "conv_cfg=dict(type='Conv2dAdaptivePadding'), as mmpretrain has them",
    )
)
