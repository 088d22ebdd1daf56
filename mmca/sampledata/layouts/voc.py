"""What the layouts of PASCAL VOC's years share: annotations and detection lists."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from mmca.files import write_atomic, write_lines

from ..classes import VOC_CLASSES
from ..scene import Scene


def annotation_path(folder: Path, name: str) -> Path:
    """Where the annotation of a scene lies in a year's folder, such as ``VOCdevkit/VOC2012``."""
    return folder / 'Annotations' / f'{name}.xml'


def write_scene(scene: Scene, folder: Path, name: str, segmented: bool) -> None:
    """Write a scene's image and then its XML, which so stands for the whole scene.

    The corners of the XML's boxes count from 1 and include the last pixel.

    Args:
        scene: The scene.
        folder: The year's folder.
        name: Name of the scene's files, without suffix.
        segmented: Whether the scene has masks there.
    """
    write_atomic(folder / 'JPEGImages' / f'{name}.jpg', scene.jpeg())
    height, width = scene.image.shape[:2]
    tree = ET.Element('annotation')
    _add(tree, folder=folder.name, filename=f'{name}.jpg')
    _add(ET.SubElement(tree, 'source'), database='mmca synthetic sample', annotation='generated')
    _add(ET.SubElement(tree, 'size'), width=width, height=height, depth=3)
    _add(tree, segmented=int(segmented))
    for instance in scene.instances:
        item = ET.SubElement(tree, 'object')
        x1, y1, x2, y2 = instance.box
        _add(item, name=instance.name, pose='Unspecified')
        _add(item, truncated=int(instance.truncated), occluded=int(instance.occluded), difficult=0)
        _add(ET.SubElement(item, 'bndbox'), xmin=x1 + 1, ymin=y1 + 1, xmax=x2, ymax=y2)
    ET.indent(tree, '\t')
    write_atomic(annotation_path(folder, name), ET.tostring(tree))


def _add(parent: ET.Element, **values: object) -> None:
    for key, value in values.items():
        ET.SubElement(parent, key).text = str(value)


def write_detection_lists(folder: Path, split: str, members: Sequence[str]) -> None:
    """``Main/<split>.txt`` and, per class, ``Main/<class>_<split>.txt`` with 1 or -1."""
    lists = folder / 'ImageSets' / 'Main'
    write_lines(lists / f'{split}.txt', members)
    present = {
        name: {item.text for item in ET.parse(annotation_path(folder, name)).iter('name')}
        for name in members
    }
    for label in VOC_CLASSES:
        write_lines(
            lists / f'{label}_{split}.txt',
            (f'{name} {1 if label in present[name] else -1:2d}' for name in members),
        )
