"""Taking the weights out of what training code wraps around them: entries and prefixes."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import Tensor

from .reading import CheckpointError

# Entries of a checkpoint that hold a state dict.
_PLAIN = ('state_dict', 'model_state_dict', 'model_state', 'model', 'module', 'net', 'network')
_AVERAGED = (
    'state_dict_ema',
    'model_ema',
    'ema',
    'ema_state_dict',
    'ema_model',
    'model_ema_state_dict',
)
# What DataParallel and DDP, torch.compile, FSDP and activation checkpointing put into names.
_ANYWHERE = {'module', '_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module'}
# The attributes in which Lightning and Fabric, and modules written for them, keep the network.
_OUTERMOST = {'model', 'net', 'network', '_forward_module'}
# How often torch's AveragedModel and mmengine's averaged models took part, beside `module.*`.
_COUNTERS = {'n_averaged', 'steps'}


def take_weights(
    checkpoint: Mapping,
    source: str,
    ema: bool = False,
    prefix: str | None = None,
    own: Collection[str] = (),
) -> tuple[dict[str, Any], list[str]]:
    """The state dict within a checkpoint, without the prefixes of wrappers, and notes about it.

    Args:
        checkpoint (Mapping): A state dict, or a dict of one under a usual name and other things.
        source (str): Where it is from, for messages.
        ema (bool): Take the averaged copy.
        prefix (str | None): Take only the keys below it, and cut it off; with or without the dot
            at its end.
        own (Collection[str]): Names that the network itself has; what they contain is no wrapper.

    Raises:
        CheckpointError: If there is no such state dict, if no key has the prefix, or if two
            different tensors would get one name.
    """
    state, notes = _unpack(checkpoint, source, ema)
    others = state.keys() - _COUNTERS
    if others and all(key.startswith('module.') for key in others):
        state = {key: value for key, value in state.items() if key in others}
    own_parts = {part for key in own for part in key.split('.')}
    own_first = {key.partition('.')[0] for key in own}

    def unwrapped(key: str) -> str:
        parts = [part for part in key.split('.') if part in own_parts or part not in _ANYWHERE]
        while len(parts) > 1 and parts[0] in _OUTERMOST - own_first:
            del parts[0]
        return '.'.join(parts) or key

    if not prefix:
        return _renamed(state, source, unwrapped), notes
    prefix = f'{prefix.rstrip(".")}.'
    # As it stands there, else as it is without wrappers.
    for candidate, name in ((state, str), (_flat(checkpoint), str), (state, unwrapped)):
        inside = {key: value for key, value in candidate.items() if name(key).startswith(prefix)}
        if inside:
            below = _renamed(inside, source, lambda key, name=name: name(key)[len(prefix) :])
            return _renamed(below, source, unwrapped), [*notes, f'took what is below {prefix!r}']
    raise CheckpointError(
        f'{source}: no key has the prefix {prefix!r}; those in the file are '
        f'{_some(map(repr, _prefixes(state)))}'
    )


def state_dict_of(
    checkpoint: Mapping, source: str = 'The checkpoint', own: Collection[str] = ()
) -> dict[str, Tensor]:
    """The tensors of a checkpoint's state dict; arguments and errors of :func:`take_weights`."""
    weights, _ = take_weights(checkpoint, source, own=own)
    return {key: value for key, value in weights.items() if isinstance(value, Tensor)}


def first_meta(meta: Any) -> Mapping:
    """Meta data of a dataset, in a checkpoint or not; the first one's, if several were joined.

    mmdet's ``ConcatDataset`` has a list of them, as has a checkpoint that was trained with it.
    """
    first = meta[0] if isinstance(meta, (list, tuple)) and meta else meta
    return first if isinstance(first, Mapping) else {}


def _unpack(checkpoint: Mapping, source: str, ema: bool) -> tuple[dict[str, Any], list[str]]:
    plain = [name for name in _PLAIN if isinstance(checkpoint.get(name), Mapping)]
    averaged = [name for name in _AVERAGED if isinstance(checkpoint.get(name), Mapping)]
    note = ''
    if 'ema_state_dict' in averaged and 'state_dict' in plain:
        # mmengine has swapped the two.
        averaged.remove('ema_state_dict')
        note = '; mmengine keeps the average in state_dict'
    bare = any(isinstance(value, Tensor) for value in checkpoint.values())
    if ema and not averaged:
        raise CheckpointError(
            f'{source}: has no averaged copy ({", ".join(_AVERAGED)}), its entries are '
            f'{_some(checkpoint)}{note}. Leave out --ema'
        )
    if bare and not ema and not plain:
        return {str(key): value for key, value in checkpoint.items()}, []
    names = averaged if ema else plain or averaged
    if not names:
        names = [name for name, entry in checkpoint.items() if _holds_tensors(entry)]
        if len(names) > 1:
            return _flat(checkpoint), []  # several networks: each name becomes a prefix
    if not names:
        raise CheckpointError(f'{source}: holds no weights, its entries are {_some(checkpoint)}')
    others = [str(key) for key in checkpoint if key != names[0]]
    notes = [f'took {names[0]!r}' + (f', left {", ".join(others)}' if others else '')]
    if averaged and not ema:
        notes.append(
            f'there is an averaged copy, {averaged[0]!r}, too: --ema takes it'
            if plain
            else 'only the averaged copy is there'
        )
    inner, inner_notes = _unpack(checkpoint[names[0]], source, ema=False)
    return inner, notes + inner_notes


def _holds_tensors(entry: Any) -> bool:
    return isinstance(entry, Mapping) and any(isinstance(v, Tensor) for v in entry.values())


def _flat(checkpoint: Mapping) -> dict[str, Any]:
    entries = {name: entry for name, entry in checkpoint.items() if _holds_tensors(entry)}
    return {f'{name}.{key}': v for name, entry in entries.items() for key, v in entry.items()}


def _renamed(state: Mapping[str, Any], source: str, rename: Any) -> dict[str, Any]:
    """The values by their new names, each of which is that of one value."""
    weights: dict[str, Any] = {}
    former: dict[str, str] = {}
    for key, value in state.items():
        name = rename(key)
        if name in weights and not _equal(weights[name], value):
            raise CheckpointError(
                f'{source}: {name} is there twice, as {former[name]} and as {key}: these are two '
                "networks. Choose one by its prefix, with `prefix` in `init_cfg=dict(type='"
                "Pretrained', ...)` or with `tools/convert_checkpoint.py --prefix`"
            )
        weights[name] = value
        former[name] = key
    return weights


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and one.equal(other)
    return one is other


def _prefixes(keys: Iterable[str], start: str = '') -> list[str]:
    """Prefixes of the networks and parts of networks, not of single layers."""
    below = [key[len(start) :] for key in keys if key.startswith(start)]
    children = list(dict.fromkeys(key.partition('.')[0] for key in below if '.' in key))
    if start and (len(children) not in range(1, 5) or any(map(str.isdigit, children))):
        return [start]
    return [p for child in children for p in _prefixes(keys, f'{start}{child}.')]


def _some(keys: Iterable) -> str:
    names = [str(key) for key in keys]
    return ', '.join(names[:8]) + (', ...' if len(names) > 8 else '') if names else 'none'
