"""Checking annotations in COCO's format before a training, or an evaluation, reads them.

What would stop a run later, or quietly lose or mislabel objects, is a problem. What a training has
to cope with is legal and only counted: crowds, boxes without area, boxes that reach outside their
image, images without objects.
"""

from __future__ import annotations

import codecs
import gc
import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmca.files import stand_in

from .coco_annotations import Annotations
from .coco_images import check_images
from .findings import Checked, Problems, short, some
from .kept import Kept, folder_stamp, stamp
from .thin import Thin

_LONG = 1e8  # bytes
_FORMAT = 2  # of what is kept: to be counted up when the check finds more


def check_coco(
    path: Path,
    classes: Sequence[str],
    images: Path | None = None,
    *,
    evaluated: bool = False,
    exif: bool = True,
    plain: bool = False,
    thin: Thin | None = None,
    masks: bool = False,
    least_side: float = 0,
) -> Checked:
    """Check a file in COCO's format for detection.

    Where it takes long and finds nothing wrong, that is kept below ``~/.cache/mmca``
    (``XDG_CACHE_HOME``) until the file, one of the images or an argument differs.

    Args:
        path: The JSON file.
        classes: Names of the classes, in the order in which the model numbers them. mmdet numbers
            them as the file lists its categories, so the file has to list all, in this order.
        images: Folder of the images, to see whether each exists and has the size that the file
            says; None not to look.
        evaluated: Whether COCO's evaluation reads the file, which asks for more.
        exif: Whether images are turned as their EXIF says when they are loaded.
        plain: Whether they are loaded as mmca does: those that will not load are problems then.
        thin: What a resize leaves nothing of, see :func:`mmca.checks.thin.thin_images`.
        masks: Whether the outlines of the objects are read, too.
        least_side: Smaller images are not trained on, mmdet's ``filter_cfg['min_size']``.
    """
    fast = 'faster_coco_eval' in sys.modules
    options = (_FORMAT, list(classes), str(images), evaluated, exif, plain, masks, least_side, fast)
    kept = Kept('annotations', path, repr(options))
    file, verdict = stamp(path), kept.load()
    if verdict and verdict['file'] == file and _stamps(verdict['folders']) == verdict['folders']:
        return Checked([], Counter(verdict['counts']), frozenset(verdict['images']))
    counts: Counter[str] = Counter()
    problems = Problems()
    try:
        with _no_garbage():
            content = _read(path)
            ids = _category_ids(content['categories'], classes, problems)
            sizes = check_images(content['images'], images, exif, plain, thin, problems)
            look = Annotations(ids, sizes, evaluated, masks)
            look.check(content['annotations'], least_side, problems, counts)
    except ValueError as error:
        return Checked([f'{path}: {error}'], counts)
    counts['images'] = len(sizes)
    checked = Checked(
        [f'{path}: {problem}' for problem in problems.lines()],
        counts,
        frozenset(map(str, sizes)),
    )
    if not checked.problems:
        folders = {str((images / item['file_name']).parent) for item in content['images'] if images}
        kept.save(
            dict(file=file, folders=_stamps(folders), counts=counts, images=list(checked.images))
        )
    return checked


def _stamps(folders: Iterable[str]) -> dict[str, str]:
    return {folder: folder_stamp(folder) for folder in folders}


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Context without the search for cycles: a quarter of the time with millions of objects."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(path: Path) -> dict[str, list[dict]]:
    """The file's three lists of objects.

    Raises:
        ValueError: If it is not so; says why.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ValueError('missing') from None
    except OSError as error:
        raise ValueError(f'cannot be read ({error.strerror})') from None
    if len(raw) > _LONG:
        print(f'reading {path} ({len(raw) / 1e6:.0f} MB)', flush=True)
    # pycocotools opens the file as text, which is more particular than json is.
    if raw.startswith(codecs.BOM_UTF8):
        raise ValueError(
            'begins with a byte order mark, which COCO readers refuse: save it as UTF-8 without one'
        )
    try:
        content = _parse(raw)
    except UnicodeDecodeError as error:
        raise ValueError(
            f'not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8'
        ) from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f'not a whole JSON file ({stand_in(raw[:64]) or error})') from None
    if isinstance(content, dict):
        content.setdefault('annotations', [])  # a test set's
    for key in ('categories', 'images', 'annotations'):
        items = content.get(key) if isinstance(content, dict) else None
        if not isinstance(items, list):
            raise ValueError(f"not in COCO's format, it has no list {key!r}")
        for number, item in enumerate(items):
            if not isinstance(item, dict) or 'id' not in item:
                raise ValueError(f'element {number} of {key!r} (counted from 0) has no id')
    return content


def _parse(raw: bytes) -> Any:
    """The value of a JSON text, errors as those of ``json``; by orjson if that is installed."""
    if len(raw) > _LONG and importlib.util.find_spec('orjson'):
        import orjson

        with suppress(orjson.JSONDecodeError):  # it knows no NaN
            return orjson.loads(raw)  # a third of the time
    return json.loads(raw.decode())


def _category_ids(categories: list[dict], classes: Sequence[str], problems: Problems) -> dict:
    """For each category's id whether it is one of the classes; None if it is, else its name."""
    names = [item.get('name') for item in categories]
    for item in categories:
        if type(item['id']) is not int or not isinstance(item.get('name'), str):
            problems.add(
                'category',
                f'category {short(item["id"])}, {short(item.get("name"))}: an id is a whole '
                'number, a name text',
            )
            return {}
    ids = Counter(item['id'] for item in categories)
    listed = [name for name in names if name in classes]
    twice = [f'id {key}' for key, count in ids.items() if count > 1]
    twice += [f'name {key!r}' for key, count in Counter(listed).items() if count > 1]
    if twice:
        problems.add('category', f'two categories have the {some(twice)}: mmdet mixes them up')
    elif missing := [name for name in classes if name not in listed]:
        problems.add(
            'category',
            f'the categories lack {some(missing)} of the classes in the config, metainfo; there '
            f'are {some(names) or "none"}',
        )
    elif listed != list(classes):
        problems.add(
            'category',
            f'the categories are not in the order {", ".join(classes)}: mmdet mixes them up; sort '
            'them, or the classes in the config',
        )
    return {item['id']: None if item['name'] in classes else item['name'] for item in categories}
