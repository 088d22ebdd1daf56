"""Tiny annotations in COCO's and PASCAL VOC's format, to be damaged."""

import json
from pathlib import Path

CLASSES = ('cat', 'traffic light', 'dog')
SIZE = '<size><width>40</width><height>30</height><depth>3</depth></size>'


def coco_file(path: Path, change=None) -> Path:
    """Three images of 40x30 pixels with two boxes, the ids in no order."""
    content = {
        'categories': [
            {'id': 17, 'name': 'cat'},
            {'id': 3, 'name': 'traffic light'},
            {'id': 18, 'name': 'dog'},
        ],
        'images': [
            {'id': number, 'file_name': f'{number}.jpg', 'width': 40, 'height': 30}
            for number in (139, 9, 25)
        ],
        'annotations': [
            {'id': 1001, 'image_id': 9, 'category_id': 3, 'bbox': [1.5, 2, 10, 20.25], 'area': 99},
            {'id': 77, 'image_id': 139, 'category_id': 17, 'bbox': [0, 0, 40, 30], 'area': 0.5},
        ],
    }
    for item in content['annotations']:
        item['iscrowd'] = 0
    if change:
        change(content)
    path.write_text(json.dumps(content))
    return path


def edit(part: str, index: int, **values):
    """A change of one element of one of the file's lists."""
    return lambda content: content[part][index].update(values)


def remove(part: str, index: int, key: str):
    """A change that takes a key away."""
    return lambda content: content[part][index].pop(key)


def box(x1, y1, x2, y2, name: str = 'cat', more: str = '') -> str:
    """An object in PASCAL VOC's format."""
    corners = f'<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>'
    return f'<object><name>{name}</name>{more}<bndbox>{corners}</bndbox></object>'


def voc_file(path: Path, *objects: str, size: str = SIZE) -> Path:
    """An annotation of an image of 40x30 pixels."""
    path.write_text(f'<annotation>{size}{"".join(objects)}</annotation>')
    return path
