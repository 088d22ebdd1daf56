"""The classes of one dataset of a run against those of the others, by their places."""

from collections.abc import Sequence

from mmengine.config import Config

from .class_names import class_names
from .class_numbers import class_datasets


def class_order_problems(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Datasets of a run in which a class has another number than in the first one.

    A label is the place of its class in the list. What the network learnt as one class would be
    measured, or trained on, as another.
    """
    if 'language_model' in (cfg.get('model') or {}):  # it is told the names
        return []
    first: tuple[str, Sequence[str]] | None = None
    problems = []
    for loader, leaf, kind in class_datasets(cfg, loaders):
        try:
            names, _ = class_names(kind, leaf)
        except ValueError:  # another check says why
            continue
        first = first or (loader, names)
        if difference := order_difference(names, first[1]):
            other = 'its first dataset' if loader == first[0] else f'the {first[0]}'
            problems.append(
                f'{loader}: {difference} in {other}: the label of a class is its place in '
                'metainfo.classes; give all datasets the same list'
            )
    return list(dict.fromkeys(problems))


def order_difference(names: Sequence[str], others: Sequence[str]) -> str:
    """The first class with another place in ``others``, in words; '' if there is none.

    Names that only one of both has are not looked at: they may be spelt otherwise.
    """
    if len({*names}) < len(names) or len({*others}) < len(others):
        return ''
    places = {name: place for place, name in enumerate(others)}
    moved = [(place, name) for place, name in enumerate(names) if places.get(name, place) != place]
    if not moved:
        return ''
    place, name = moved[0]
    more = f', like {len(moved) - 1} more' if moved[1:] else ''
    return f'class {place} is {name!r}{more}, which is class {places[name]}'
