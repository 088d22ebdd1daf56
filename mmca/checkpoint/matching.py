"""Comparing the weights of a checkpoint with a model, key by key."""

from collections import Counter
from collections.abc import Collection, Mapping

from torch import Tensor, nn

from .naming import attention_of, foreign_names
from .reading import CheckpointError

CONVERT = 'python tools/convert_checkpoint.py SRC DST'


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

    Keys that start with one of ``ignore`` need not. Weights that are NaN fit nothing.
    """
    broken = [k for k, v in weights.items() if v.is_floating_point() and v.float().isnan().any()]
    if broken := [key for key in broken if not key.startswith(ignore)]:
        raise CheckpointError(
            f'{source}: {len(broken)} of its {len(weights)} tensors hold NaN, first {broken[0]}: '
            'the training that wrote it had broken down; take an earlier checkpoint'
        )
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


def places(keys: Collection[str], wanted: Collection[str]) -> list[str]:
    """Prefixes below which most of the ``wanted`` keys are, ``''`` being the top; sorted."""
    found: Counter[str] = Counter()
    for key in keys:
        parts = key.split('.')
        for depth in range(len(parts)):
            if '.'.join(parts[depth:]) in wanted:
                found[''.join(f'{part}.' for part in parts[:depth])] += 1
    return sorted(place for place, count in found.items() if 2 * count > len(wanted))


def _diagnose(weights: Mapping[str, Tensor], model: nn.Module) -> str:
    if title := foreign_names(weights):
        return f'it has the names of {title}, convert it first, `{CONVERT}`; '
    wanted = model.state_dict()
    theirs, ours = attention_of(weights), attention_of(wanted)
    if not set(weights) & set(wanted):
        if found := places(weights, wanted):
            where = ' and '.join(map(repr, found))
            return f'what would fit is below {where}, take it out; '
        return 'no key in common, it is of another architecture or naming; '
    if theirs != ours:
        return f'it was trained with {theirs}, the model has {ours}; '
    stem = next((k for k in wanted if k.endswith('conv1.conv.weight')), None)
    if stem in weights and len(weights[stem]) != len(wanted[stem]):
        return (
            f'its width differs (stem of {len(weights[stem])} and {len(wanted[stem])} channels); '
        )
    return ''
