"""Checking annotations in PASCAL VOC's XML format before a training or an evaluation reads them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mmca.files import stand_in
from mmca.progress import track

from .findings import DIFFICULT, USABLE, Checked, Problems, is_number, some
from .geometry import Boxes
from .image_sizes import (
    ImageSize,
    read_sizes,
    size_problem,
    thin_problem,
    warn_of_flips,
)
from .thin import Thin

T = TypeVar('T')

_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def check_voc_xml(
    annotations: Mapping[Path, Path],
    classes: Collection[str],
    *,
    flat_dropped: bool = True,
    exif: bool = True,
    plain: bool = False,
    thin: Thin | None = None,
    least_side: float = 0,
    least_box: float = 0,
) -> Checked:
    """Check annotation files in PASCAL VOC's format, one per image.

    Args:
        annotations: The XML files, each with its image, whose size has to be the file's.
        classes: Names of the classes. mmdet leaves objects of other classes out without a word.
        flat_dropped: Whether the pipeline drops boxes without area. Where it does not, they make
            the loss infinite.
        exif: Whether images are turned as their EXIF says when they are loaded.
        plain: Whether they are loaded as mmca does: those that will not load are problems then.
        thin: What a resize leaves nothing of, see :func:`mmca.checks.thin.thin_images`.
        least_side: Smaller images are not trained on, mmdet's ``filter_cfg['min_size']``.
        least_box: Smaller boxes are not trained on, mmdet's ``filter_cfg['bbox_min_size']``.
    """
    counts: Counter[str] = Counter()
    problems = Problems()
    boxes = Boxes(last=1)
    sizes = read_sizes(annotations.values(), plain)
    if exif:
        warn_of_flips(sizes)
    for path in track(annotations, 'checking annotations', silent=2):
        image = annotations[path]
        found = sizes.get(image)
        loaded = found.loaded(exif) if isinstance(found, ImageSize) else None
        try:
            root = _read(path)
            said = _size(root)
        except ValueError as error:
            problems.add('file', f'{path}: {error}')
            continue
        if problem := size_problem(image, found, said, exif):
            problems.add('size', f'{path}: {problem}')
        elif problem := thin_problem(image, found, exif, thin):
            problems.add('thin', problem)
        size = said or loaded
        objects = root.findall('object')
        if unread := _unread_objects(root):
            problems.add('unread', f'{path}: {unread}')
        for number, item in enumerate(objects, 1):
            problem = _object_problem(item, classes) or _box_problem(item, flat_dropped)
            if problem:
                problems.add(problem[0], f'{path}: object {number}: {problem[1]}')
                continue
            corners = _whole_corners(item)
            x1, y1, x2, y2 = corners
            # VOC counts pixels from 1.
            box = x1 - 1, y1 - 1, x2 - x1, y2 - y1
            boxes.add(f'{path}: object {number}: {_describe(item)}', box, size)
            difficult = bool(_number(int, item.findtext('difficult', '0')))
            counts[DIFFICULT] += difficult
            large = _extent(corners) >= max(least_box, 1)
            counts[USABLE] += large and not difficult and (not size or min(size) >= least_side)
        counts['images'] += 1
        counts['images without objects'] += not objects
    outside, systematic = boxes.examine(counts, mistakable=False)
    for line in outside:
        problems.add('outside', line)
    if systematic:
        problems.add('systematic', f'{next(iter(annotations)).parent}: {systematic}')
    return Checked(problems.lines(), counts, frozenset(path.stem for path in annotations))


def _read(path: Path) -> ET.Element:
    """The root of a file.

    Raises:
        ValueError: If it cannot be read; says why, and what to do.
    """
    try:
        return ET.parse(path).getroot()
    except FileNotFoundError:
        raise ValueError('missing') from None
    except OSError as error:
        raise ValueError(f'cannot be read ({error.strerror})') from None
    except (ET.ParseError, ValueError, LookupError) as error:
        reason = str(error)
    raw = path.read_bytes()
    if not raw.strip():
        raise ValueError('is empty: restore it')
    if other := stand_in(raw[:64]):
        raise ValueError(f'not a whole XML file: {other}')
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f'is neither UTF-8 (byte {error.start}) nor in the encoding that it declares '
            f'({reason}): save it as UTF-8'
        ) from None
    raise ValueError(
        f'not a whole XML file, or not in the encoding that it declares ({reason}): correct it'
    )


def _size(root: ET.Element) -> tuple[int, int] | None:
    """Width and height; None if the file gives none: mmdet looks into the image then.

    Raises:
        ValueError: If they are not numbers of pixels.
    """
    size = root.find('size')
    if size is None:
        return None
    sides = [_number(int, size.findtext(key)) for key in ('width', 'height')]
    if None in sides or not all(map(is_number, sides)) or min(sides) <= 0:
        raise ValueError('the width and height of its size are not whole pixels')
    return tuple(sides)


def _unread_objects(root: ET.Element) -> str | None:
    """What is wrong if there are objects, but not where mmdet looks for them."""
    found = [item for item in root.iter() if item.tag.rpartition('}')[2].lower() == 'object']
    read = len(root.findall('object'))
    if len(found) <= read:
        return None
    other = next(item.tag for item in found if item.tag != 'object' or item not in root)
    return (
        f'{len(found) - read} of {len(found)} objects would not be read, as {other!r}: they have '
        'to be <object>, without a namespace (xmlns), directly below <annotation>'
    )


def _object_problem(item: ET.Element, classes: Collection[str]) -> tuple[str, str] | None:
    name, difficult = item.findtext('name'), item.findtext('difficult', '0')
    if name not in classes:
        stripped = (name or '').strip()
        hint = f'; remove the blanks around {stripped!r}' if stripped in classes else ''
        alike = [known for known in classes if known.lower() == stripped.lower()]
        if alike and not hint:
            hint = f'; did you mean {alike[0]!r}?'
        return 'class', f'class {name!r} is not one of {some(list(classes), 30)}{hint}'
    corners = _corners(item)
    if not all(map(is_number, corners)):
        box = item.find('bndbox')
        found = [None if box is None else box.findtext(corner) for corner in _CORNERS]
        return 'box', f'{name}: box {found} is not four finite numbers'
    if _number(int, difficult) is None:
        return 'difficult', f'{name}: difficult is {difficult!r}, not 0 or 1'
    return None


def _box_problem(item: ET.Element, flat_dropped: bool) -> tuple[str, str] | None:
    extent = _extent(_whole_corners(item))
    if extent < 0:
        return 'swapped', f'{_describe(item)} ends before it begins: give xmin, ymin, xmax, ymax'
    if extent == 0 and not flat_dropped:
        return (
            'flat',
            f'{_describe(item)} has no area in whole pixels, and an infinite loss: remove it, or '
            "add dict(type='FilterAnnotations', min_gt_bbox_wh=(0, 0)) to the train pipeline",
        )
    return None


def _describe(item: ET.Element) -> str:
    return f'{item.findtext("name")}: box {_whole_corners(item)}'


def _corners(item: ET.Element) -> list[float | None]:
    # Not findtext('bndbox/xmin'): mmdet looks into the first bndbox alone.
    box = item.find('bndbox')
    if box is None:
        return [None] * 4
    return [_number(float, box.findtext(corner)) for corner in _CORNERS]


def _whole_corners(item: ET.Element) -> list[int]:
    """As mmdet reads them."""
    return [int(corner) for corner in _corners(item)]


def _extent(corners: Sequence[int]) -> int:
    """The smaller side, in mmdet the difference although the last pixel is included."""
    x1, y1, x2, y2 = corners
    return min(x2 - x1, y2 - y1)


def _number(kind: Callable[[str], T], text: str | None) -> T | None:
    try:
        return kind(text or '')
    except ValueError:
        return None
