"""COCO 2017's layout for detection and instance segmentation."""

from __future__ import annotations

import json
from pathlib import Path

from mmca.files import write_atomic

from ...progress import track
from ..classes import VOC_CLASSES
from ..scene import Instance
from ..settings import SampleSettings

_CATEGORIES = [
    {'id': label, 'name': name, 'supercategory': 'shape'}
    for label, name in enumerate(VOC_CLASSES, 1)
]


def write(settings: SampleSettings, root: Path) -> None:
    """Write the sample to ``root/{train,val}2017`` and ``root/annotations/instances_*2017.json``.

    The categories 1 to 20 are VOC's classes. Image ids count from 1, through both splits.
    """
    first_id = 1
    for split, count in settings.counts.items():
        path = root / 'annotations' / f'instances_{split}2017.json'
        # A split's annotations are written last, so they stand for the whole split.
        if not path.exists():
            content = json.dumps(_write_images(settings, root, split, first_id))
            write_atomic(path, content.encode())
        first_id += count


def _write_images(settings: SampleSettings, root: Path, split: str, first_id: int) -> dict:
    """Write a split's images, and return its annotations in COCO's format."""
    images: list[dict] = []
    annotations: list[dict] = []
    for index in track(range(settings.counts[split]), f'drawing {split} scenes'):
        scene = settings.draw(split, index)
        path = root / f'{split}2017' / f'{split}_{index:05d}.jpg'
        if not path.exists():
            write_atomic(path, scene.jpeg())
        height, width = scene.image.shape[:2]
        image_id = first_id + index
        images.append(
            {'id': image_id, 'file_name': path.name, 'width': width, 'height': height, 'license': 0}
        )
        for instance in scene.instances:
            identity = {'id': len(annotations) + 1, 'image_id': image_id}
            annotations.append({**identity, **_annotation(instance)})
    return {
        'info': {'description': f'mmca synthetic sample, {split}'},
        'licenses': [{'id': 0, 'name': 'procedurally drawn, no photographs', 'url': ''}],
        'images': images,
        'annotations': annotations,
        'categories': _CATEGORIES,
    }


def _annotation(instance: Instance) -> dict:
    # mmdet brings pycocotools; the other layouts do not need it.
    from pycocotools import mask as coco_mask

    x1, y1, x2, y2 = instance.box
    rle = coco_mask.encode(instance.mask.astype('uint8', order='F'))
    return {
        'category_id': instance.label,
        'bbox': [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
        'area': int(instance.mask.sum()),
        'iscrowd': 0,
        'segmentation': {'size': rle['size'], 'counts': rle['counts'].decode()},
    }
