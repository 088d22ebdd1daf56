"""Reading checkpoints safely and matching them strictly.

mmengine loads checkpoints with ``strict=False`` and only logs what did not match; a
backbone then trains from scratch unnoticed. Here a mismatch is an error.
"""

from .matching import mismatches, require_match
from .naming import attention_of
from .pretrained import load_backbone, load_part, prepare_pretrained, pretrained_of
from .reading import CheckpointError, load_file, safetensors_for
from .wrappers import first_meta, state_dict_of, take_weights

__all__ = [
    'CheckpointError',
    'attention_of',
    'first_meta',
    'load_backbone',
    'load_file',
    'load_part',
    'mismatches',
    'prepare_pretrained',
    'pretrained_of',
    'require_match',
    'safetensors_for',
    'state_dict_of',
    'take_weights',
]
