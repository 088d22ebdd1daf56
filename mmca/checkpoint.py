"""Reading checkpoints safely and matching them strictly.

mmengine loads checkpoints with ``strict=False`` and only logs what did not match; a
backbone then trains from scratch unnoticed. Here a mismatch is an error.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmca.unpickling import load_allowed

# Parameters that tell one attention from another.
_ATTENTION_SIGNATURES = {
    'conv_h': 'CoordinateAttention',
    'conv_w': 'CoordinateAttention',
    'conv_spatial': 'CBAM',
    'conv_reduce': 'SqueezeExcitation',
}
_CONVERT = 'python tools/convert_checkpoint.py SRC DST'


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read, or that does not fit the model."""


def load_file(path: str | Path, map_location: str = 'cpu') -> dict:
    """Load a checkpoint without running code from it.

    Args:
        path (str | Path): A file written by ``torch.save``, or one of safetensors if it ends in
            ``.safetensors``; or an http(s) address of one, which is downloaded once to
            torch.hub's folder.
        map_location (str): Device for its tensors.

    Raises:
        CheckpointError: If the file is missing, damaged, or holds other than tensors, plain
            values and mmengine's loss histories; or if the package safetensors is missing.
    """
    path = _download(path) if str(path).startswith(('http://', 'https://')) else Path(path)
    if not path.is_file():
        raise CheckpointError(f'{path}: no such checkpoint; check the path')
    load = load_allowed
    if path.suffix == '.safetensors':
        load = safetensors_for(path).load_file
    try:
        checkpoint = load(path, map_location)
    # A damaged pickle fails in any way.
    except Exception as error:
        if refused := re.search(r'GLOBAL (\S+)', str(error)):
            raise CheckpointError(
                f'{path}: refused, it holds more than weights ({refused[1]}). Convert it where it '
                'was made: keep the state_dict alone'
            ) from error
        reason = str(error).rpartition('WeightsUnpickler error: ')[2].strip().split('\n')[0]
        raise CheckpointError(
            f'{path}: not a readable checkpoint ({path.stat().st_size} bytes; {reason[:200]}). It '
            'may be truncated: copy or download it again'
        ) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f'{path}: holds a {type(checkpoint).__name__}, not a dict of weights; save a state_dict'
        )
    return checkpoint


def safetensors_for(path: str | Path) -> ModuleType:
    """The module ``safetensors.torch``, needed for the file ``path``.

    Raises:
        CheckpointError: If it is not installed.
    """
    try:
        import safetensors.torch
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f'{path}: this format needs a package: pip install safetensors'
        ) from error
    return safetensors.torch


def _download(url: str) -> Path:
    # Two addresses may end in the same name.
    name = f'{hashlib.sha256(url.encode()).hexdigest()[:8]}-{Path(urlsplit(url).path).name}'
    path = Path(torch.hub.get_dir()) / 'checkpoints' / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path))
        except OSError as error:
            raise CheckpointError(
                f'{url}: cannot be downloaded ({error}); download it by hand and give the file'
            ) from error
    return path


def state_dict_of(checkpoint: Mapping) -> dict[str, Tensor]:
    """The weights of a checkpoint, without ``state_dict`` wrapper or ``module.`` prefix."""
    state = checkpoint.get('state_dict', checkpoint)
    weights = {k.removeprefix('module.'): v for k, v in state.items() if isinstance(v, Tensor)}
    if not weights:
        raise CheckpointError(
            f'no weights in the checkpoint: its keys are {sorted(checkpoint)[:5]}. If they are in '
            f'one of these, take them out: `{_CONVERT}`'
        )
    return weights


def mismatches(
    weights: Mapping[str, Tensor], model: nn.Module, ignore: tuple[str, ...] = ()
) -> list[str]:
    """One line for each key that is missing, unexpected, or of another shape; empty if none."""
    wanted = {k: v for k, v in model.state_dict().items() if not k.startswith(ignore)}
    weights = {k: v for k, v in weights.items() if not k.startswith(ignore)}
    lines = [f'missing: {key}' for key in wanted if key not in weights]
    lines += [f'unexpected: {key}' for key in weights if key not in wanted]
    lines += [
        f'shape: {key} is {tuple(weights[key].shape)} in the checkpoint, '
        f'{tuple(wanted[key].shape)} in the model'
        for key in wanted
        if key in weights and weights[key].shape != wanted[key].shape
    ]
    return lines


def require_match(
    weights: Mapping[str, Tensor],
    model: nn.Module,
    source: str,
    remedy: str,
    ignore: tuple[str, ...] = (),
) -> None:
    """Raise a CheckpointError that says why, unless every tensor of both sides fits.

    Keys that start with one of ``ignore`` need not.
    """
    lines = mismatches(weights, model, ignore)
    if not lines:
        return
    shown = '\n  '.join(lines[:8])
    more = f'\n  ... and {len(lines) - 8} more' if len(lines) > 8 else ''
    reason = _diagnose(weights, model)
    raise CheckpointError(
        f'{source} does not fit the model: {reason}{len(lines)} tensors differ. {remedy}\n  '
        f'{shown}{more}'
    )


def load_backbone(backbone: nn.Module, path: str | Path) -> None:
    """Load the weights of a backbone, strictly, and log what was taken and what was left.

    Left are only tensors of other parts (classifier, decode head, neck) and the 1280-channel
    ``conv2`` where the backbone has none.

    Args:
        backbone (nn.Module): The backbone to fill.
        path (str | Path): Checkpoint of a whole model (keys ``backbone.*``) or of the
            backbone alone.

    Raises:
        CheckpointError: If the file cannot be read or does not fit.
    """
    weights = state_dict_of(load_file(path))
    inside = {
        k.removeprefix('backbone.'): v for k, v in weights.items() if k.startswith('backbone.')
    }
    own = inside or weights
    names = {name for name, _ in backbone.named_children()}
    left = [k for k in weights if inside and not k.startswith('backbone.')]
    if 'conv2' not in names:
        unused = [k for k in own if k.startswith('conv2.')]
        own = {k: v for k, v in own.items() if k not in set(unused)}
        left += unused
    require_match(
        own,
        backbone,
        source=f'Checkpoint {path}',
        remedy='Give one that was pretrained with the same attention and width.',
    )
    backbone.load_state_dict(own)
    parts = ', '.join(sorted({_part(k) for k in left})) or 'none'
    print_log(
        f'Loaded {len(own)} tensors of the backbone from {path}; left {len(left)} ({parts}).',
        logger='current',
    )


def _part(key: str) -> str:
    return key.removeprefix('backbone.').split('.')[0]


def attention_of(keys: Iterable[str]) -> str:
    """Name of the attention that a model's or a checkpoint's keys show, or ``'no attention'``."""
    parts = {part for key in keys if '.attention.' in key for part in key.split('.')}
    for signature, name in _ATTENTION_SIGNATURES.items():
        if signature in parts:
            return name
    return 'no attention'


def _diagnose(weights: Mapping[str, Tensor], model: nn.Module) -> str:
    from mmca.convert.recognise import find_scheme  # it imports the models, and they this module

    scheme = find_scheme(weights)
    if scheme and scheme.name != 'mmca':
        return f'it has the names of {scheme.title}, convert it first, `{_CONVERT}`; '
    wanted = model.state_dict()
    theirs, ours = attention_of(weights), attention_of(wanted)
    if not set(weights) & set(wanted):
        return 'no key in common, it is of another architecture or naming; '
    if theirs != ours:
        return f'it was trained with {theirs}, the model has {ours}; '
    stem = next((k for k in wanted if k.endswith('conv1.conv.weight')), None)
    if stem in weights and len(weights[stem]) != len(wanted[stem]):
        return (
            f'its width differs (stem of {len(weights[stem])} and {len(wanted[stem])} channels); '
        )
    return ''
