"""Taking the weights out of a checkpoint's wrappers, and writing them to a file."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmca.checkpoint import CheckpointError, safetensors_for
from mmca.engine.atomic_backend import AtomicBackend

_PLAIN = ('state_dict', 'model')
_AVERAGED = ('state_dict_ema', 'model_ema', 'ema')
_SUFFIXES = ('.pth', '.pt', '.pth.tar', '.safetensors')


def take_weights(checkpoint: Mapping, source: str, ema: bool) -> tuple[dict[str, Any], list[str]]:
    """The state dict within a checkpoint without ``module.`` prefixes, and what to say about it.

    Args:
        checkpoint (Mapping): A state dict, or a dict of one under a usual name and other things.
        source (str): Where it is from, for messages.
        ema (bool): Take the averaged copy.

    Raises:
        CheckpointError: If there is no such state dict, or if two of its keys become one.
    """
    plain = [name for name in _PLAIN if isinstance(checkpoint.get(name), Mapping)]
    averaged = [name for name in _AVERAGED if isinstance(checkpoint.get(name), Mapping)]
    bare = any(isinstance(value, Tensor) for value in checkpoint.values())
    if ema and not averaged:
        note = (
            '; mmengine keeps the average in state_dict' if 'ema_state_dict' in checkpoint else ''
        )
        raise CheckpointError(
            f'{source}: has no averaged copy ({", ".join(_AVERAGED)}), its entries are '
            f'{_some(checkpoint)}{note}. Leave out --ema'
        )
    if not (ema or plain or bare or averaged):
        raise CheckpointError(f'{source}: holds no weights, its entries are {_some(checkpoint)}')
    notes = []
    if bare and not ema and not plain:
        return _without_module(checkpoint, source), notes
    name = averaged[0] if ema or not plain else plain[0]
    others = [str(key) for key in checkpoint if key != name]
    notes.append(f'took {name!r}' + (f', left {", ".join(others)}' if others else ''))
    if averaged and not ema:
        notes.append(
            f'there is an averaged copy, {averaged[0]!r}, too: --ema takes it'
            if plain
            else 'only the averaged copy is there'
        )
    inner, inner_notes = take_weights(checkpoint[name], source, ema=False)
    return inner, notes + inner_notes


def _without_module(state: Mapping, source: str) -> dict[str, Any]:
    weights = {}
    for key, value in state.items():
        name = str(key)
        while name.startswith('module.'):
            name = name.removeprefix('module.')
        if name in weights:
            raise CheckpointError(
                f'{source}: {name} is there twice, with and without the prefix "module."; keep one'
            )
        weights[name] = value
    return weights


def _some(keys: Mapping) -> str:
    names = [str(key) for key in keys]
    return ', '.join(names[:8]) + (', ...' if len(names) > 8 else '') if names else 'none'


def check_target(target: Path, source: str, force: bool) -> None:
    """Refuse a target of another format, one that exists, and the source itself.

    Raises:
        CheckpointError: If the target is refused.
    """
    if not target.name.endswith(_SUFFIXES):
        raise CheckpointError(f'{target}: the name must end in {", ".join(_SUFFIXES)}')
    if target.is_dir():
        raise CheckpointError(f'{target}: is a folder; name a file')
    if not target.exists():
        return
    if os.path.exists(source) and os.path.samefile(source, target):
        raise CheckpointError(f'{target}: is the source itself, {source}; name another file')
    if not force:
        raise CheckpointError(f'{target}: exists; name another file, or overwrite it with --force')


def write_weights(weights: dict[str, Tensor], target: Path, meta: dict[str, str] | None) -> None:
    """Write weights whole or not at all, in the format of the target's suffix.

    Args:
        weights (dict[str, Tensor]): Tensors by name.
        target (Path): ``.safetensors``, or a file of ``torch.save``.
        meta (dict[str, str] | None): Where they are from. With it, ``torch.save`` writes
            ``dict(state_dict=weights, meta=meta)``; without, the weights alone.
    """
    # A view would be saved with all of the memory that it looks at.
    weights = {key: value.detach().clone().contiguous() for key, value in weights.items()}
    if target.suffix == '.safetensors':
        content = safetensors_for(target).save(weights, metadata={'format': 'pt', **(meta or {})})
    else:
        buffer = io.BytesIO()
        torch.save(dict(state_dict=weights, meta=meta) if meta else weights, buffer)
        content = buffer.getvalue()
    AtomicBackend().put(content, target)
