"""Names of a dataset's classes, as its library will take them from a config."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.dataset import BaseDataset

from .findings import short, some
from .folders import instead
from .lists import read_list

_BYTE_ORDER_MARK = '\ufeff'


def class_names(
    kind: type[BaseDataset], leaf: Mapping
) -> tuple[Sequence[str], Sequence[str] | str | None]:
    """Names of a dataset's classes, and what the config gives for them.

    Args:
        kind (type[BaseDataset]): The dataset's class.
        leaf (Mapping): Its config. ``metainfo.classes``, or ``classes`` in mmpretrain, are names,
            or a file with one on each line.

    Returns:
        tuple[Sequence[str], Sequence[str] | str | None]: The names, none if nobody gives them; and
        the file, or names, of the config.

    Raises:
        ValueError: If the config names no file that can be read, or names that are blank, have
            blanks around them, or in mmdet are there twice; says which.
    """
    metainfo = leaf.get('metainfo')
    in_metainfo = metainfo.get('classes') if isinstance(metainfo, Mapping) else None
    given = leaf.get('classes') or in_metainfo
    setting = f'{"" if leaf.get("classes") else "metainfo."}classes={given!r}'
    if not given:
        return kind._load_metainfo(None).get('classes') or (), None
    names = _names_in(given, setting, leaf) if isinstance(given, str) else given
    source = f' (from {given})' if isinstance(given, str) else ''
    if not isinstance(names, Sequence):
        raise ValueError(f'{setting} are neither names nor a file; give a list of names')
    if not names:
        raise ValueError(f'no classes{source}: name them, metainfo=dict(classes=(...))')
    odd = [name for name in names if not isinstance(name, str) or not name or _is_padded(name)]
    if _is_mmdets(kind):
        odd += [name for name, count in Counter(map(str, names)).items() if count > 1]
    if odd:
        marked = any(str(name).startswith(_BYTE_ORDER_MARK) for name in odd)
        raise ValueError(
            f'classes{source} that are blank, twice, or with blanks around: '
            f'{some([short(name) for name in odd])}; correct them'
            + (', and save the file as UTF-8 without a byte order mark' if marked else '')
        )
    return names, given


def _is_padded(name: str) -> bool:
    return name != name.strip().strip(_BYTE_ORDER_MARK)


def _is_mmdets(kind: type) -> bool:
    return any(base.__module__.startswith('mmdet.') for base in kind.__mro__)


def _names_in(given: str, setting: str, leaf: Mapping) -> list[str]:
    path = Path(os.path.expanduser(given))
    if os.path.isfile(path):
        try:
            return read_list(path)
        except ValueError as error:
            raise ValueError(f'{setting}: {error}') from None
    below = Path(leaf.get('data_root') or '') / given
    if os.path.isfile(below):
        raise ValueError(
            f'{setting} is looked for where the command runs, not in data_root: give {str(below)!r}'
        )
    if '/' in given or path.suffix:
        raise ValueError(f'{setting} is no file that exists; {instead(path)}: correct the path')
    raise ValueError(
        f'{setting} is neither names nor a file that exists; one class is written '
        f'classes=({given!r},), with a comma'
    )
