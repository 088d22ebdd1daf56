"""Checking the images that a file in COCO's format lists."""

from __future__ import annotations

import sys
from pathlib import Path

from .findings import Problems, is_number, short
from .folders import missing_files
from .image_sizes import read_sizes, size_problem, thin_problem, warn_of_flips
from .thin import Thin


def check_images(
    images: list[dict],
    folder: Path | None,
    exif: bool,
    plain: bool,
    thin: Thin | None,
    problems: Problems,
) -> dict[int | float | str, tuple[float, float] | None]:
    """Width and height of every image by its id; None where the file gives none.

    Args:
        images: The file's list.
        folder: Where the images are; None not to look.
        exif: Whether images are turned as their EXIF says when they are loaded.
        plain: Whether they are loaded as mmca does.
        thin: What a resize leaves nothing of, see :func:`mmca.checks.thin.thin_images`.
        problems: To add to.
    """
    sizes: dict = {}
    paths: dict = {}
    named: dict[str, object] = {}
    for item in images:
        identity, name = item['id'], item.get('file_name')
        size = item.get('width'), item.get('height')
        if not _is_id(identity):
            problems.add('image id', f'image {short(identity)}: an id is a whole number')
            continue
        if identity in sizes:
            problems.add('image id', f'image {identity!r}: another image has the same id')
        sizes[identity] = None
        if not isinstance(name, str) or not name:
            problems.add('file name', f'image {identity!r}: file_name is {short(name)}')
        elif name in named:
            problems.add(
                'file name',
                f'image {identity!r}: its file, {name}, is that of image {named[name]!r}, too: '
                'either would lack the boxes of the other; make one of them',
            )
        elif folder is not None:
            paths[identity] = folder / name
            named[name] = identity
        if all(is_number(length) and length > 0 for length in size):
            sizes[identity] = size
        else:
            shown = f'({short(size[0])}, {short(size[1])})'
            problems.add('image size', f'image {identity!r}: width and height are {shown}')
    if problem := _text_problem(list(sizes)):
        problems.add('image id', problem)
    if not images:
        problems.add('empty', 'lists no images')
    _check_files(paths, sizes, exif, plain, thin, problems)
    return sizes


def _is_id(value: object) -> bool:
    return type(value) in (int, str) or (type(value) is float and value.is_integer())


def _text_problem(ids: list) -> str | None:
    """Ids of text work if all are, unless faster-coco-eval makes numbers of them."""
    texts = [value for value in ids if isinstance(value, str)]
    if 0 < len(texts) < len(ids):
        return f'{len(texts)} of {len(ids)} image ids are text, as {texts[0]!r}: give whole numbers'
    if texts and 'faster_coco_eval' in sys.modules:
        numbers = {int(text) for text in texts if text.isdecimal()}
        if len(numbers) < len(texts):
            return (
                f'image ids such as {texts[0]!r} are text, of which faster-coco-eval makes no '
                'different numbers: give whole numbers'
            )
    return None


def _check_files(
    paths: dict, sizes: dict, exif: bool, plain: bool, thin: Thin | None, problems: Problems
) -> None:
    found = read_sizes(paths.values(), plain)
    missing = []
    for identity, path in paths.items():
        if path not in found:
            missing.append((f'image {identity!r}', path))
        elif problem := size_problem(path, found[path], sizes[identity], exif):
            problems.add('file size', f'image {identity!r}: {problem}')
        elif problem := thin_problem(path, found[path], exif, thin):
            problems.add('thin', f'image {identity!r}: {problem}')
    if exif:
        warn_of_flips(found)
    remedy = 'restore it, or correct file_name, or data_prefix in the config'
    if any('\\' in path.name for _, path in missing):
        remedy = 'write file_name with / in place of \\'
    for line in missing_files(missing, len(paths), remedy):
        problems.add('missing', line)
