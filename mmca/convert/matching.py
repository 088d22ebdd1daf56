"""Comparing the tensors of a file with those that its network consists of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Size, Tensor

from mmca.checkpoint import CheckpointError

from .scheme import Scheme

_SHOWN = 20
_COUNTER = '.num_batches_tracked'


@dataclass(frozen=True)
class Match:
    """What a file has to offer for a network.

    Args:
        tensors (dict[str, Tensor]): Its tensors by our names.
        created (list[str]): Those of them that it does not have: counters of batch norms.
        unknown (list[str]): Its keys that the network does not have.
        missing (list[str]): Tensors of the network that it lacks, by the names it would use.
        shapes (dict[str, str]): Its keys of another shape than the network's, and both shapes.
    """

    tensors: dict[str, Tensor]
    created: list[str]
    unknown: list[str]
    missing: list[str]
    shapes: dict[str, str]


def below(key: str, prefixes: Iterable[str]) -> bool:
    """Whether the key is one of the prefixes or starts with the parts of one."""
    return any(f'{key}.'.startswith(f'{prefix}.') for prefix in prefixes)


def match(weights: Mapping[str, Any], scheme: Scheme, expected: Mapping[str, Size]) -> Match:
    """Compare the weights of a file that follows ``scheme`` with the ``expected`` shapes."""
    found = Match({}, [], [], [], {})
    for key, value in weights.items():
        ours = scheme.to_ours(key)
        if ours not in expected or not isinstance(value, Tensor):
            found.unknown.append(key)
            continue
        found.tensors[ours] = value
        if value.shape != expected[ours]:
            found.shapes[key] = f'{tuple(value.shape)}, expected {tuple(expected[ours])}'
    for ours in expected:
        if ours in found.tensors:
            continue
        if not ours.endswith(_COUNTER):
            found.missing.append(scheme.from_ours(ours))
        # PyTorch before 0.4.1 did not count batches. Of a layer that is missing none is needed.
        elif ours.replace(_COUNTER, '.running_mean') in found.tensors:
            found.tensors[ours] = torch.tensor(0)
            found.created.append(ours)
    return found


def check_names(drop: Iterable[str], names: Iterable[str], title: str) -> None:
    """Raise a CheckpointError for a prefix that none of the names starts with."""
    for prefix in drop:
        if not any(below(name, [prefix]) for name in names):
            raise CheckpointError(
                f'{title}: --drop {prefix} fits no tensor, neither one of the file nor one that it '
                'lacks. Give a key as the file has it, or its first parts, e.g. decode_head'
            )


def require_match(found: Match, weights: Mapping[str, Any], drop: list[str], title: str) -> None:
    """Raise a CheckpointError unless everything fits, but for what the user does without."""
    missing = [key for key in found.missing if not below(key, drop)]
    wrong = [*missing, *found.shapes, *found.unknown]
    if not wrong:
        return
    lines = [f'missing: {key}' for key in missing]
    lines += [f'shape: {key} is {shapes}' for key, shapes in found.shapes.items()]
    lines += [f'unknown: {key}' for key in found.unknown]
    more = [f'... and {len(lines) - _SHOWN} more'] if len(lines) > _SHOWN else []
    good = [key for key in weights if key not in set(wrong)]
    names = ' '.join(dict.fromkeys(_shortest_prefix(key, good) for key in wrong))
    listed = '\n  '.join(lines[:_SHOWN] + more)
    raise CheckpointError(
        f'{title}: {len(lines)} tensors do not match. If the file is meant to be so, name what '
        f'to leave out or to do without: --drop {names}\n  {listed}'
    )


def _shortest_prefix(key: str, others: Iterable[str]) -> str:
    parts = key.split('.')
    prefixes = ('.'.join(parts[:n]) for n in range(1, len(parts) + 1))
    return next(prefix for prefix in prefixes if not any(below(o, [prefix]) for o in others))
