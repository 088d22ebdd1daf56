"""Weights that a training starts from: what ``init_cfg`` names, and loading it strictly."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.logging import print_log
from torch import Tensor, nn

from .matching import places, require_match
from .naming import attention_of
from .reading import CheckpointError, load_file
from .wrappers import take_weights

_BACKBONE = 'backbone.'
# What a checkpoint of a backbone alone may have more than it: the 1280-channel layer, and in
# torchvision's files the classifier.
_OPTIONAL = {'conv2', 'classifier'}


class Pretrained(NamedTuple):
    """A checkpoint to start from.

    Args:
        path (str): File or http(s) address.
        prefix (str | None): Take only the keys below it.
    """

    path: str
    prefix: str | None = None


def pretrained_of(
    init_cfg: Mapping | Sequence[Mapping] | None, pretrained: str | None = None
) -> tuple[Pretrained | None, list[Mapping] | None]:
    """The checkpoint that a module's options name, and the other entries of its ``init_cfg``.

    Args:
        init_cfg (Mapping | Sequence[Mapping] | None): As mmengine's, one entry or several. The
            options of ``Pretrained`` are ``checkpoint``, ``prefix`` and ``map_location``; the last
            changes nothing, since weights are read to the CPU and copied to where the model is.
        pretrained (str | None): The same without options.

    Returns:
        tuple[Pretrained | None, list[Mapping] | None]: Each is None if there is none.

    Raises:
        CheckpointError: If an entry is not a dict with a type, if two checkpoints are named, or
            if ``Pretrained`` has other options or names no checkpoint.
    """
    entries = [init_cfg] if isinstance(init_cfg, Mapping) else list(init_cfg or ())
    for entry in entries:
        if not isinstance(entry, Mapping) or 'type' not in entry:
            raise CheckpointError(f'init_cfg: {entry!r} is not a dict with a type')
    found = [entry for entry in entries if _is_pretrained(entry)]
    others = [entry for entry in entries if not _is_pretrained(entry)] or None
    if not found:
        return Pretrained(pretrained) if pretrained is not None else None, others
    options = dict(found[0])
    del options['type']
    shown = ', '.join(f'{key}={value!r}' for key, value in options.items())
    if len(found) > 1 or pretrained is not None:
        raise CheckpointError(
            'two checkpoints, of which one would replace the other, are named: '
            f'{pretrained or dict(found[1])} and Pretrained({shown}); keep one'
        )
    path, prefix = options.pop('checkpoint', None), options.pop('prefix', None)
    options.pop('map_location', None)
    if not isinstance(path, str | Path) or not str(path):
        raise CheckpointError(
            f"init_cfg: Pretrained({shown}) needs checkpoint='FILE'; to start without one, leave "
            'Pretrained out'
        )
    if options or not isinstance(prefix, str | None):
        raise CheckpointError(
            f'init_cfg: Pretrained({shown}): its options are checkpoint, prefix (text) and '
            'map_location'
        )
    return Pretrained(str(path), prefix), others


def _is_pretrained(entry: Mapping) -> bool:
    kind = entry.get('type')
    # By name, by the path of the class, or the class itself.
    name = kind.rpartition('.')[2] if isinstance(kind, str) else getattr(kind, '__name__', '')
    return name in ('Pretrained', 'PretrainedInit')


def prepare_pretrained(model: nn.Module, resumed: bool) -> None:
    """Make the ``init_cfg`` of a model's parts fit for ``init_weights``.

    Args:
        model (nn.Module): A model that has just been built.
        resumed (bool): It gets all weights of a run that goes on, so the files that the run
            started from need not be there.
    """
    for module in model.modules():
        init_cfg = getattr(module, 'init_cfg', None)
        entries = [init_cfg] if isinstance(init_cfg, Mapping) else list(init_cfg or ())
        found = [entry for entry in entries if _is_pretrained(entry)]
        for entry in entries:
            _prepare_override(entry, resumed)
        if resumed:
            if found:
                module.init_cfg = [entry for entry in entries if entry not in found] or None
            if getattr(module, 'pretrained', None) is not None:
                module.pretrained = None
            if hasattr(module, 'insert_attention'):
                module.insert_attention = False
            continue
        for entry in found:
            # mmengine loads under this name alone after it has initialised the parts.
            entry['type'] = 'Pretrained'


def _prepare_override(entry: dict, resumed: bool) -> None:
    """The same for what an entry says of single parts."""
    given = entry.get('override') or ()
    parts = [given] if isinstance(given, Mapping) else list(given)
    found = [part for part in parts if _is_pretrained(part)]
    if found and resumed:
        entry['override'] = [part for part in parts if part not in found] or None
    for part in found:
        part['type'] = 'Pretrained'


def load_backbone(
    backbone: nn.Module,
    path: str | Path,
    prefix: str | None = None,
    insert: Callable[..., dict[str, Tensor]] | None = None,
) -> None:
    """Load the weights of a backbone, strictly, and log what was taken and what was left.

    Left are only tensors of other parts (classifier, decode head, neck) and the 1280-channel
    ``conv2`` where the backbone has none.

    Args:
        backbone (nn.Module): The backbone to fill.
        path (str | Path): Checkpoint of a whole model (keys ``backbone.*``) or of the
            backbone alone.
        prefix (str | None): Take only the keys below it, for example ``'teacher.backbone.'``.
        insert (Callable | None): Called with the weights of a plain backbone and ``source``, the
            file's name for messages; gives those of ``backbone``.

    Raises:
        CheckpointError: If the file cannot be read or does not fit, or if several networks in it
            would.
    """
    weights = _read(backbone, path, prefix, usual=('', _BACKBONE))
    inside = {k.removeprefix(_BACKBONE): v for k, v in weights.items() if k.startswith(_BACKBONE)}
    own = inside or weights
    names = {name for name, _ in backbone.named_children()}
    left = [k for k in weights if inside and not k.startswith(_BACKBONE)]
    unused = [k for k in own if k.split('.')[0] in _OPTIONAL - names]
    own = {k: v for k, v in own.items() if k not in set(unused)}
    left += unused
    source, taken = f'Checkpoint {_named(path, prefix)}', len(own)
    if insert:
        own = insert(own, source=source)
    remedy = 'Give one that was pretrained with the same attention and width.'
    if attention_of(own) == 'no attention' != attention_of(backbone.state_dict()):
        remedy += ' Or have the attention inserted: model.backbone.insert_attention=True.'
    require_match(own, backbone, source, remedy)
    backbone.load_state_dict(own)
    parts = ', '.join(sorted({k.split('.')[0] for k in left})) or 'none'
    inserted = f', inserted {attention_of(own)}' if insert else ''
    print_log(
        f'Loaded {taken} tensors of the backbone from {_named(path, prefix)}; left {len(left)} '
        f'({parts}){inserted}.',
        logger='current',
    )


def load_part(module: nn.Module, path: str | Path, prefix: str | None = None) -> None:
    """Load all weights of a model, a head or a neck, strictly.

    Args:
        module (nn.Module): The module to fill.
        path (str | Path): Checkpoint of exactly its tensors.
        prefix (str | None): Take only the keys below it, for example ``'decode_head.'``.

    Raises:
        CheckpointError: If the file cannot be read or does not fit.
    """
    weights = _read(module, path, prefix, usual=('',))
    name = type(module).__name__
    require_match(
        weights,
        module,
        source=f'init_cfg of {name}: checkpoint {_named(path, prefix)}',
        remedy=f'It must have all tensors of the {name} and no others. For the backbone alone, set '
        'model.backbone.pretrained; to start from a model with other classes, set load_from and '
        'default_hooks.checkpoint.ignore_keys.',
    )
    module.load_state_dict(weights)
    print_log(
        f'Loaded all {len(weights)} tensors of the {name} from {_named(path, prefix)}.',
        logger='current',
    )


def _read(
    module: nn.Module, path: str | Path, prefix: str | None, usual: tuple[str, ...]
) -> dict[str, Tensor]:
    """Weights of a file in which the module's are below one of the ``usual`` prefixes, if any."""
    wanted: dict[str, Any] = module.state_dict()
    weights, notes = take_weights(load_file(path), str(path), prefix=prefix, own=wanted)
    weights = {key: value for key, value in weights.items() if isinstance(value, Tensor)}
    for note in notes:
        print_log(f'{path}: {note}', logger='current')
    found = places(weights, wanted)
    here = [place for place in found if place in usual]
    if len(here) > 1 or (found and not here):
        start = f'{prefix.rstrip(".")}.' if prefix else ''
        where = ' and '.join(repr(start + place) if place else 'the top' for place in found)
        raise CheckpointError(
            f'{path}: has weights of this {type(module).__name__} below {where}. Say which to '
            f"take: init_cfg=dict(type='Pretrained', checkpoint={str(path)!r}, "
            f'prefix={start + found[-1]!r})'
        )
    return weights


def _named(path: str | Path, prefix: str | None) -> str:
    return f'{path} ({prefix!r})' if prefix else str(path)
