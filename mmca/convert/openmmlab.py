"""Names in OpenMMLab models: ours, and those of mmpretrain's and mmseg's MobileNetV2.

Each of a whole model, with ``backbone.``, and of the backbone alone.
"""

from dataclasses import replace

from mmca.models.backbones import MobileNetV2, MobileNeXt
from mmca.models.backbones.staged_backbone import StagedBackbone

from .scheme import Pairs, Scheme, blocks, build

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


def _with_bare(scheme: Scheme) -> tuple[Scheme, Scheme]:
    pairs = tuple((theirs.removeprefix('backbone.'), ours) for theirs, ours in scheme.pairs)
    return scheme, replace(scheme, title=f'{scheme.title}, a bare backbone', pairs=pairs)


OWN = tuple(
    scheme
    for architecture in (MobileNetV2, MobileNeXt)
    for scheme in _with_bare(
        Scheme('mmca', f"mmca's {architecture.__name__}", architecture, _own_pairs(architecture))
    )
)
MOBILENET_V2 = _with_bare(
    Scheme('mmpretrain', "mmpretrain's or mmseg's MobileNetV2", MobileNetV2, _mmpretrain_pairs())
)
