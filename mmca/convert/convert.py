from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from mmca.checkpoint import load_file, take_weights
from mmca.version import __version__

from .attention import change_attention
from .files import check_target, write_weights
from .matching import below, check_names, match, require_match
from .network import read_network
from .recognise import recognise
from .targets import target_scheme


def convert_file(
    source: str,
    target: Path,
    to: str = 'mmca',
    drop: Iterable[str] = (),
    ema: bool = False,
    prefix: str | None = None,
    insert: str | None = None,
    remove: str | None = None,
    force: bool = False,
) -> list[str]:
    """Convert a checkpoint file; nothing is left out or made up without being named.

    Args:
        source (str): File or http(s) address of the checkpoint.
        target (Path): File to write.
        to (str): Whose names the tensors get: ``'mmca'``, ``'authors'`` or ``'torchvision'``.
        drop (Iterable[str]): Names in the source, or first parts of names, of tensors to leave
            out, and of tensors to do without.
        ema (bool): Take the averaged copy of the weights.
        prefix (str | None): Take only the tensors below it, of a file with several networks.
        insert (str | None): Config of the network whose attention is inserted.
        remove (str | None): Config of the network whose attention is removed.
        force (bool): Overwrite an existing target.

    Returns:
        list[str]: Lines that say what was done.

    Raises:
        CheckpointError: If the source cannot be read or recognised, if tensors do not match
            and are not named in ``drop``, if ``to`` has no such network, if the attention cannot
            be inserted or removed, or if the target is refused.
    """
    check_target(target, source, force)
    weights, notes = take_weights(load_file(source), source, ema, prefix)
    scheme = recognise(weights, source)
    drop = [name.rstrip('.') for name in drop]
    dropped = [key for key in weights if below(key, drop)]
    kept = {key: value for key, value in weights.items() if not below(key, drop)}

    shapes = {scheme.to_ours(k): v.shape for k, v in kept.items() if isinstance(v, Tensor)}
    shapes.pop(None, None)  # keys that the scheme does not have
    network = read_network(scheme.architecture, shapes, scheme.attention)
    title = f'{source}: {scheme.title}: {network}'
    expected = network.shapes()
    found = match(kept, scheme, expected)
    check_names(drop, [*weights, *found.missing], title)
    require_match(found, kept, drop, title)

    ours = {key: found.tensors[key] for key in expected if key in found.tensors}
    if config := insert or remove:
        ours = change_attention(ours, config, insert=bool(insert), source=source)
        network = read_network(scheme.architecture, {k: v.shape for k, v in ours.items()})
        notes.append(f'{"inserted" if insert else "removed"} the attention of {config}: {network}')
    output = target_scheme(to, network, title)
    converted = {output.from_ours(key): value for key, value in ours.items()}
    meta = dict(mmca_version=__version__, source=Path(source).name, converted_from=scheme.name)
    write_weights(converted, target, meta if to == 'mmca' else None)
    absent = [key for key in found.missing if key not in weights]
    return [
        title,
        *filter(None, [scheme.note]),
        *notes,
        *_groups('dropped', dropped),
        *_groups('did without', absent),
        *_groups('num_batches_tracked created as 0, the source has none', found.created),
        f'{target}: wrote {len(converted)} tensors with the names of {output.title}',
    ]


def _groups(what: str, keys: list[str]) -> list[str]:
    """One line with the number of keys and their first two parts; none without keys."""
    groups = ', '.join(dict.fromkeys('.'.join(key.split('.')[:2]) for key in keys))
    return [f'{what}: {len(keys)} ({groups})'] if keys else []
