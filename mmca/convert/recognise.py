"""Which scheme a checkpoint's names follow."""

from collections.abc import Collection

from mmca.checkpoint import CheckpointError

from . import authors, openmmlab, timm, torchvision
from .scheme import Scheme

SCHEMES = (
    *openmmlab.OWN,
    authors.MOBILENET_V2,
    authors.MOBILENEXT,
    torchvision.MOBILENET_V2,
    *openmmlab.MOBILENET_V2,
    torchvision.EFFICIENTNET_B0,
    timm.EFFICIENTNET_B0,
    *openmmlab.EFFICIENTNET,
)
# Other networks that share some of the names are below; a file may lack a few.
_LEAST_COVERAGE = 0.8


def nearest(keys: Collection[str]) -> tuple[Scheme, float]:
    """The scheme that covers most of its backbone with the keys, and the share covered."""
    return max(((scheme, scheme.coverage(keys)) for scheme in SCHEMES), key=lambda pair: pair[1])


def recognise(keys: Collection[str], source: str) -> Scheme:
    """The scheme that the keys follow.

    Raises:
        CheckpointError: If it is none of the known ones.
    """
    scheme, coverage = nearest(keys)
    if coverage >= _LEAST_COVERAGE:
        return scheme
    known = '\n  '.join(scheme.title for scheme in SCHEMES)
    raise CheckpointError(
        f'{source}: not recognised; its first keys are {", ".join(list(keys)[:4])}. Nearest is '
        f'{scheme.title}, of whose backbone {coverage:.0%} is there. Known are:\n  {known}'
    )
