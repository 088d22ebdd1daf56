"""Inserting the attention of a config into a converted checkpoint, or removing it."""

import logging
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS
from torch import Tensor
from torch.random import fork_rng, manual_seed

from mmca.checkpoint import CheckpointError
from mmca.models.backbones.insertion import insert_attention, remove_attention
from mmca.models.backbones.staged_backbone import StagedBackbone

_BACKBONE = 'backbone.'


def change_attention(
    weights: dict[str, Tensor], config: str, insert: bool, source: str
) -> dict[str, Tensor]:
    """The weights with the attention of a config, or without it; its outputs stay the same.

    Args:
        weights (dict[str, Tensor]): Under our names, those of a backbone with ``backbone.``.
        config (str): File of a config whose backbone is ours, with the attention.
        insert (bool): Insert it, else remove it. What is new is drawn from a fixed seed.
        source (str): Of the weights, for messages.

    Raises:
        CheckpointError: If the config has no such backbone, or as :func:`insert_attention` and
            :func:`remove_attention` do.
    """
    if not Path(config).is_file():
        raise CheckpointError(f'{config}: no such config; check the path')
    model = Config.fromfile(config, import_custom_modules=False).get('model', {})
    options = model.get('backbone', {})
    kind = str(options.get('type', ''))
    if not (kind.startswith('mmca.') and issubclass(MODELS.get(kind) or object, StagedBackbone)):
        raise CheckpointError(
            f'{config}: its backbone is {options.get("type")!r}; give a config with '
            'mmca.MobileNetV2 or another of ours that takes an attention, and with it'
        )
    # All that the checkpoint has, whatever the config makes of it: stages are built in any case.
    last = 7 if any(key.startswith(f'{_BACKBONE}conv2.') for key in weights) else 0
    options.update(out_indices=(last,), pretrained=None, init_cfg=None, insert_attention=False)
    logging.disable(logging.INFO)  # mmengine's, a line for each tensor
    with fork_rng():
        manual_seed(0)
        backbone: StagedBackbone = MODELS.build(options)
        backbone.init_weights()
    logging.disable(logging.NOTSET)
    inside = {
        key.removeprefix(_BACKBONE): value
        for key, value in weights.items()
        if key.startswith(_BACKBONE)
    }
    change = insert_attention if insert else remove_attention
    changed = change(inside, backbone, source=source)
    others = {key: value for key, value in weights.items() if not key.startswith(_BACKBONE)}
    return {f'{_BACKBONE}{key}': value for key, value in changed.items()} | others
