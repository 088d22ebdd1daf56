"""Checking box annotations before they are trained on: COCO's JSON and PASCAL VOC's XML files.

What would stop a training later, or quietly lose or mislabel objects, is a problem. What a training
has to cope with is legal and only counted: crowd boxes, boxes without area, boxes that reach
outside their image, images without objects.
"""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar('T')

_CROWD, _EMPTY, _OUTSIDE = 'crowd', 'without area', 'reaching outside their image'
_SLACK = 0.5  # pixels; COCO's coordinates are rounded
_ID = (int, float, str)  # what an id may be
_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


class Checked(NamedTuple):
    """Result of a check.

    Attributes:
        problems: One line per problem: the file, the annotation in it, what is wrong.
        counts: How many ``'images'``, ``'boxes'`` and ``'images without objects'`` there are, and
            how many of the boxes are special, see `describe`.
    """

    problems: list[str]
    counts: Counter[str]


def describe(counts: Mapping[str, int]) -> str:
    """The boxes in words, such as ``'9 boxes (2 without area), 1 images without objects'``."""
    special = [f'{counts[kind]} {kind}' for kind in (_CROWD, _EMPTY, _OUTSIDE) if counts[kind]]
    text = f'{counts["boxes"]} boxes' + (f' ({", ".join(special)})' if special else '')
    bare = counts['images without objects']
    return f'{text}, {bare} images without objects' if bare else text


def _count_box(
    counts: Counter[str], box: Sequence[float], extent: float, size: Sequence[float] | None
) -> None:
    """Count a box ``(x1, y1, x2, y2)``.

    ``extent`` is not positive if it has no area; ``size`` is its image's width and height.
    """
    counts['boxes'] += 1
    counts[_EMPTY] += extent <= 0
    if size and (min(box) < -_SLACK or box[2] > size[0] + _SLACK or box[3] > size[1] + _SLACK):
        counts[_OUTSIDE] += 1


# --- COCO ------------------------------------------------------------------------------------


def check_coco(path: Path, classes: Sequence[str], images: Path | None = None) -> Checked:
    """Check a file in COCO's format for detection.

    Args:
        path: The JSON file.
        classes: Names of the classes, in the order in which the model numbers them. mmdet numbers
            them as the file lists its categories, so the file has to list all, in this order.
        images: Folder of the images, to see whether each one exists; None not to look.
    """
    counts: Counter[str] = Counter()
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return Checked([f'{path}: missing'], counts)
    except ValueError as error:
        return Checked([f'{path}: not a whole JSON file ({error})'], counts)
    for key in ('categories', 'images', 'annotations'):
        items = content.get(key) if isinstance(content, dict) else None
        if not isinstance(items, list):
            return Checked([f"{path}: not in COCO's format, it has no list {key!r}"], counts)
        for number, item in enumerate(items):
            if not isinstance(item, dict) or not isinstance(item.get('id'), _ID):
                problem = f'element {number} of {key!r} (counted from 0) has no id'
                return Checked([f'{path}: {problem}'], counts)

    problems = _category_problems(content['categories'], classes)
    sizes, found = _image_sizes(content['images'], images)
    problems += found
    ids = {item['id'] for item in content['categories'] if item.get('name') in classes}
    with_objects, seen = set(), set()
    for item in content['annotations']:
        if problem := _annotation_problem(item, sizes, ids, seen):
            problems.append(f'annotation {item["id"]!r}: {problem}')
            continue
        seen.add(item['id'])
        with_objects.add(item['image_id'])
        x, y, width, height = item['bbox']
        extent = min(width, height, item['area'])
        _count_box(counts, (x, y, x + width, y + height), extent, sizes[item['image_id']])
        counts[_CROWD] += bool(item.get('iscrowd'))
    counts['images'] = len(sizes)
    counts['images without objects'] = len(sizes) - len(with_objects)
    return Checked([f'{path}: {problem}' for problem in problems], counts)


def _category_problems(categories: list[dict], classes: Sequence[str]) -> list[str]:
    listed = [item.get('name') for item in categories if item.get('name') in classes]
    if missing := [name for name in classes if name not in listed]:
        return [f'the categories lack {", ".join(missing)}']
    if listed != list(classes):
        return [f'the categories are not in the order {", ".join(classes)}: mmdet mixes them up']
    return []


def _image_sizes(images: list[dict], folder: Path | None) -> tuple[dict, list[str]]:
    """Width and height of every image by its id, and what is wrong with the images."""
    sizes: dict = {}
    problems = []
    for item in images:
        size, name = (item.get('width'), item.get('height')), item.get('file_name')
        if item['id'] in sizes:
            problems.append(f'image {item["id"]!r}: another image has the same id')
        if not isinstance(name, str):
            problems.append(f'image {item["id"]!r}: file_name is {name!r}')
        elif folder and not (folder / name).is_file():
            problems.append(f'image {item["id"]!r}: {folder / name} is missing')
        if not all(_is_number(length) and length > 0 for length in size):
            problems.append(f'image {item["id"]!r}: width and height are {size}')
            size = None
        sizes[item['id']] = size
    return sizes, problems


def _annotation_problem(
    item: dict, sizes: Mapping, ids: Collection, seen: Collection
) -> str | None:
    image, category, box = item.get('image_id'), item.get('category_id'), item.get('bbox')
    if item['id'] in seen:
        return 'another annotation has the same id'
    if not isinstance(image, _ID) or image not in sizes:
        return f'image id {image!r} is not among the images'
    if not isinstance(category, _ID) or category not in ids:
        return f'category id {category!r} is not one of the {len(ids)} classes'
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return f'bbox {box!r} is not four finite numbers'
    if not _is_number(item.get('area')):
        return f'area {item.get("area")!r} is not a finite number'
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


# --- PASCAL VOC ------------------------------------------------------------------------------


def check_voc_xml(paths: Iterable[Path], classes: Collection[str]) -> Checked:
    """Check annotation files in PASCAL VOC's format, one per image.

    Args:
        paths: The XML files.
        classes: Names of the classes. mmdet leaves objects of other classes out without a word.
    """
    checked = Checked([], Counter())
    for path in paths:
        try:
            root = ET.parse(path).getroot()
        except FileNotFoundError:
            checked.problems.append(f'{path}: missing')
            continue
        except (ET.ParseError, ValueError, LookupError) as error:
            checked.problems.append(f'{path}: not a whole XML file ({error})')
            continue
        found = _check_annotation(root, classes, checked.counts)
        checked.problems.extend(f'{path}: {problem}' for problem in found)
    return checked


def _check_annotation(
    root: ET.Element, classes: Collection[str], counts: Counter[str]
) -> list[str]:
    problems, size = [], None
    if root.find('size') is not None:  # mmdet looks into the image if there is none
        size = [_number(int, root.findtext(f'size/{key}')) for key in ('width', 'height')]
        if None in size or min(size) <= 0:
            problems.append('the width and height of its size are not whole pixels')
            size = None
    objects = root.findall('object')
    for number, item in enumerate(objects, 1):
        problem = _object_problem(item, classes)
        if problem:
            problems.append(f'object {number}: {problem}')
            continue
        x1, y1, x2, y2 = _corners(item)
        # VOC counts pixels from 1 and includes the last; mmdet's extent is the difference.
        _count_box(counts, (x1 - 1, y1 - 1, x2, y2), min(x2 - x1, y2 - y1), size)
    counts['images'] += 1
    counts['images without objects'] += not objects
    return problems


def _object_problem(item: ET.Element, classes: Collection[str]) -> str | None:
    name, difficult = item.findtext('name'), item.findtext('difficult', '0')
    if name not in classes:
        return f'class {name!r} is not one of {", ".join(classes)}'
    if not all(map(_is_number, _corners(item))):
        found = [item.findtext(f'bndbox/{corner}') for corner in _CORNERS]
        return f'{name}: box {found} is not four finite numbers'
    if _number(int, difficult) is None:
        return f'{name}: difficult is {difficult!r}, not 0 or 1'
    return None


def _corners(item: ET.Element) -> list[float | None]:
    return [_number(float, item.findtext(f'bndbox/{corner}')) for corner in _CORNERS]


def _number(kind: Callable[[str], T], text: str | None) -> T | None:
    try:
        return kind(text or '')
    except ValueError:
        return None
