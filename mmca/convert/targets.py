"""Whose names a network can be converted to, and what they cannot express."""

from mmca.checkpoint import CheckpointError
from mmca.models.backbones import EfficientNet, MobileNetV2, MobileNeXt

from . import authors, openmmlab, torchvision
from .network import Network
from .scheme import SE, Scheme


def target_scheme(to: str, network: Network, title: str) -> Scheme:
    """The scheme of ``'mmca'``, ``'authors'`` or ``'torchvision'`` for a network.

    Raises:
        CheckpointError: If they have no such network; it starts with the ``title``.
    """
    if to == 'mmca':
        return next(s for s in openmmlab.OWN if s.architecture is network.architecture)
    reason = (_not_in_torchvision if to == 'torchvision' else _not_with_the_authors)(network)
    if reason:
        raise CheckpointError(f'{title}: cannot be converted --to {to}: {reason}')
    if to == 'torchvision':
        is_efficientnet = network.architecture is EfficientNet
        return torchvision.EFFICIENTNET_B0 if is_efficientnet else torchvision.MOBILENET_V2
    return authors.MOBILENET_V2 if network.architecture is MobileNetV2 else authors.MOBILENEXT


def _not_in_torchvision(network: Network) -> str:
    if network.architecture is MobileNeXt:
        return 'torchvision has no MobileNeXt'
    if network.architecture is EfficientNet:
        is_theirs = network.attention == SE and network.options['widen_factor'] == 1
        return '' if is_theirs else "torchvision's efficientnet_b0 has squeeze-excitation, width 1"
    if network.attention:
        return "torchvision's mobilenet_v2 has no attention"
    return ''


def _not_with_the_authors(network: Network) -> str:
    attention = network.attention
    if network.architecture is EfficientNet:
        return 'the CA authors published no EfficientNet; try --to torchvision'
    if network.architecture is not MobileNetV2:
        published = 'the authors published no code for MobileNeXt with an attention'
        return published if attention else ''
    if not attention:
        return "the CA authors' MobileNetV2 always has coordinate attention; try --to torchvision"
    if attention['type'] != 'mmca.CoordinateAttention':
        return "the CA authors' MobileNetV2 has coordinate attention only"
    if 'axes' in attention:
        return "the CA authors' coordinate attention always has both axes"
    return ''
