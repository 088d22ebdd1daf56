"""The file that a conversion writes."""

import io
import os
from pathlib import Path

import torch
from torch import Tensor

from mmca.checkpoint import CheckpointError, safetensors_for
from mmca.files import write_atomic

_SUFFIXES = ('.pth', '.pt', '.pth.tar', '.safetensors')


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

    Raises:
        CheckpointError: If it cannot be written.
    """
    # A view would be saved with all of the memory that it looks at.
    weights = {key: value.detach().clone().contiguous() for key, value in weights.items()}
    if target.suffix == '.safetensors':
        content = safetensors_for(target).save(weights, metadata={'format': 'pt', **(meta or {})})
    else:
        buffer = io.BytesIO()
        torch.save(dict(state_dict=weights, meta=meta) if meta else weights, buffer)
        content = buffer.getvalue()
    try:
        write_atomic(target, content, durable=True)
    except OSError as error:
        raise CheckpointError(f'{target}: cannot be written ({error})') from error
