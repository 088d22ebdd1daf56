"""Checking the boxes of a file in COCO's format, of which there may be a million."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter

import numpy as np

from mmca.progress import Progress

from .findings import CROWD, LARGEST, NUMBERS, USABLE, Problems, is_number, short
from .geometry import UNKNOWN, Boxes

_AT_ONCE = 4096
_DECODED = 20_000
_LARGEST_ID = 2**53  # evaluation keeps ids as float64
_LARGEST_AREA = 1e18
_NO_OUTLINE = (
    'no segmentation, which LoadAnnotations(with_mask=True) and the metric segm read: add it, or '
    "ask for boxes alone, with_mask=False and metric='bbox'"
)
_CROWDS = (0, 1)  # False and True are equal to these
_columns = itemgetter('id', 'image_id', 'category_id', 'bbox', 'area')


class Annotations:
    """The annotations of a file: which are faulty, and counts of the others.

    Args:
        categories: By its id None for each category that is a class, else the name.
        sizes: Width and height of each image by its id; None if unknown.
        evaluated: Whether COCO's evaluation reads them.
        masks: Whether outlines are read.
    """

    def __init__(
        self, categories: Mapping[int, str | None], sizes: Mapping, evaluated: bool, masks: bool
    ) -> None:
        self._categories, self._sizes = categories, sizes
        self._evaluated, self._masks = evaluated, masks
        # pycocotools reads a key that faster-coco-eval can do without.
        self._needs_crowd = evaluated and 'faster_coco_eval' not in sys.modules
        self._seen: set[int] = set()
        self._decoded = 0
        # Width and height as an array, and the row of each image in it.
        self._rows = {image: row for row, image in enumerate(sizes)}
        sides = chain.from_iterable(size or UNKNOWN for size in sizes.values())
        self._sides = np.fromiter(sides, np.float64).reshape(-1, 2)

    def check(
        self,
        annotations: Sequence[dict],
        least_side: float,
        problems: Problems,
        counts: Counter[str],
    ) -> None:
        """Add what is wrong, and how many boxes there are.

        Args:
            annotations: All of the file; each has an id.
            least_side: Images with a smaller side are not trained on.
            problems: To add to.
            counts: To add to.
        """
        boxes = Boxes()
        with_objects = np.zeros(len(self._rows), bool)
        foreign: Counter[int] = Counter()
        others = {key for key, name in self._categories.items() if name is not None}
        small = self._sides.min(1, initial=np.inf) < least_side
        with Progress('checking annotations', len(annotations), silent=2) as progress:
            for start in range(0, len(annotations), _AT_ONCE):
                items = annotations[start : start + _AT_ONCE]
                sound, box = self._sound(items, problems)
                if others:
                    other = [item['category_id'] in others for item in sound]
                    foreign.update(i['category_id'] for i, no in zip(sound, other) if no)
                    sound = [item for item, no in zip(sound, other) if not no]
                    box = box[~np.array(other, bool)]
                rows = [self._rows[item['image_id']] for item in sound]
                with_objects[rows] = True
                boxes.extend([item['id'] for item in sound], box, self._sides[rows])
                crowd = np.array([bool(item.get('iscrowd')) for item in sound], bool)
                ignored = np.array([bool(item.get('ignore')) for item in sound], bool)
                counts[CROWD] += int(crowd.sum())
                usable = (box[:, 2:] >= 1).all(1) & ~crowd & ~ignored & ~small[rows]
                counts[USABLE] += int(usable.sum())
                progress.advance(len(items))
        outside, systematic = boxes.examine(counts, mistakable=True)
        for line in outside:
            problems.add('outside', f'annotation {line}')
        if systematic:
            problems.add('systematic', systematic)
        for category, count in foreign.items():
            problems.add(
                'foreign',
                f'{count} annotations are of the category {self._categories[category]!r} (id '
                f'{category}), which is not one of the classes: mmdet leaves them out',
            )
        counts['images without objects'] = int((~with_objects).sum())

    def _sound(
        self, items: Sequence[dict], problems: Problems
    ) -> tuple[Sequence[dict], np.ndarray]:
        """Those without fault, and their boxes (N, 4); adds the faults of the others."""
        boxes = self._if_all_plain(items)
        if boxes is not None:
            self._seen.update(item['id'] for item in items)
            return items, boxes
        sound = []
        for item in items:
            if problem := self._identity_problem(item) or self._problem(item):
                problems.add(problem[0], f'annotation {short(item["id"])}: {problem[1]}')
            else:
                self._seen.add(item['id'])
                sound.append(item)
        return sound, _array(item['bbox'] for item in sound)

    def _if_all_plain(self, items: Sequence[dict]) -> np.ndarray | None:
        """The boxes (N, 4) if none has any of the faults below, seen at once: far faster."""
        try:
            ids, images, categories, boxes, areas = zip(*map(_columns, items), strict=True)
        except KeyError:
            return None
        crowds = [item.get('iscrowd', 0) for item in items]
        if not (
            _types(ids) | _types(categories) == {int}
            and _types(images) <= {int, float, str}
            and _types(boxes) == {list}
            and _types(areas) | _types(chain.from_iterable(boxes)) <= NUMBERS
            and _types(crowds) <= {int, bool}
            and set(map(len, boxes)) == {4}
            and set(crowds) <= set(_CROWDS)
            and self._sizes.keys() >= set(images)
            and self._categories.keys() >= set(categories)
            and len(set(ids)) == len(ids)
            and self._seen.isdisjoint(ids)
            and (not self._evaluated or 0 < min(ids) <= max(ids) < _LARGEST_ID)
            and (not self._needs_crowd or all('iscrowd' in item for item in items))
            and not (self._masks and any(map(self._outline_problem, items)))
        ):
            return None
        try:
            box = _array(boxes)
            area = np.fromiter(areas, np.float64)
        except OverflowError:
            return None
        extent = box[:, 2:]
        has_area = (area > 0) | (extent < 1).any(1)
        # NaN fails the comparisons.
        within = (np.abs(box) <= LARGEST).all() and (np.abs(area) <= _LARGEST_AREA).all()
        return box if within and (extent >= 0).all() and has_area.all() else None

    def _identity_problem(self, item: dict) -> tuple[str, str] | None:
        identity = item['id']
        if type(identity) is not int:
            return 'id', 'an id is a whole number; number the annotations from 1'
        if identity in self._seen:
            return 'twice', 'another annotation has the same id; number them from 1'
        if self._evaluated and not 0 < identity < _LARGEST_ID:
            return (
                'id',
                "COCO's evaluation would never count its box as found, since ids start at 1; "
                'number the annotations from 1',
            )
        return None

    def _problem(self, item: dict) -> tuple[str, str] | None:
        image, category, box = item.get('image_id'), item.get('category_id'), item.get('bbox')
        area, crowd = item.get('area'), item.get('iscrowd', 0)
        if type(image) not in (int, float, str) or image not in self._sizes:
            return 'image', f'image id {short(image)} is not among the images'
        if type(category) is not int or category not in self._categories:
            return 'category id', f'category id {short(category)} is not among the categories'
        if type(box) is not list or len(box) != 4 or not all(map(is_number, box)):
            return 'bbox', f'bbox {short(box)} is not four finite numbers'
        _, _, width, height = box
        if width < 0 or height < 0:
            return 'bbox', f'bbox {box} has a negative width or height; it is x, y, width, height'
        if not is_number(area, _LARGEST_AREA):
            return (
                'area',
                f'area {short(area)} is not a finite number; give width * height, '
                f'{width * height:g}',
            )
        if area <= 0 and width >= 1 <= height:
            return (
                'area',
                f'area is {area}, so that mmdet drops its box of {width}x{height}; give width * '
                f'height, {width * height:g}',
            )
        if type(crowd) not in (int, bool) or crowd not in _CROWDS:
            return 'iscrowd', f'iscrowd is {short(crowd)}, not 0 or 1'
        if self._needs_crowd and 'iscrowd' not in item:
            return 'iscrowd', 'no iscrowd, which pycocotools evaluates; add "iscrowd": 0'
        if self._masks and (outline := self._outline_problem(item)):
            return 'segmentation', outline
        return None

    def _outline_problem(self, item: dict) -> str | None:
        """What is wrong with an outline: polygons, or one mask in COCO's run lengths."""
        outline = item.get('segmentation')
        if not outline:
            return _NO_OUTLINE
        size = self._sizes[item['image_id']]
        if isinstance(outline, dict):
            lengths, sides = outline.get('counts'), outline.get('size')
            if not isinstance(lengths, str):
                whole = isinstance(lengths, list) and _types(lengths) == {int} and min(lengths) >= 0
                area = int(size[0] * size[1]) if size else None
                lengths = whole and (area is None or sum(lengths) == area)
            if not lengths or (size and sides != [size[1], size[0]]):
                return (
                    f'segmentation of size {short(sides)} is not one mask of its image: run '
                    'lengths as counts, that fill it, and size=[height, width]'
                )
            return self._undecodable(outline)
        if type(outline) is not list or _types(outline) != {list}:
            return (
                f'segmentation {short(outline)} is no list of polygons; write '
                '[[x1, y1, x2, y2, x3, y3, ...]]'
            )
        numbers = list(chain.from_iterable(outline))
        if not (_types(numbers) <= NUMBERS and all(map(is_number, numbers))):
            return f'segmentation {short(outline)} holds what are no finite numbers'
        if all(len(polygon) < 6 or len(polygon) % 2 for polygon in outline):
            return (
                f'segmentation {short(outline)} has no polygon of three points or more, x and y of '
                'each: mmdet would ignore the object'
            )
        return None

    def _undecodable(self, outline: dict) -> str | None:
        """What is wrong with compressed run lengths; of a million masks the first ones tell."""
        if not isinstance(outline['counts'], str) or self._decoded >= _DECODED:
            return None
        from pycocotools import mask

        self._decoded += 1
        try:
            mask.decode(outline)
        except Exception as error:  # whatever is in the text
            return f'segmentation has counts that are no compressed mask ({error})'
        return None


def _array(boxes: Iterable[Sequence[float]]) -> np.ndarray:
    # Many times as fast as np.array of a list of lists.
    return np.fromiter(chain.from_iterable(boxes), np.float64).reshape(-1, 4)


def _types(values: Iterable) -> set[type]:
    return set(map(type, values))
