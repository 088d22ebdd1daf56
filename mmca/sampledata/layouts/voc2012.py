"""PASCAL VOC 2012's layout, with the folders of the SBD augmentation."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np

from ...dataprep.common import palette_image, track, write_atomic, write_lines
from ..classes import VOC_CLASSES
from ..scene import Scene
from ..settings import SampleSettings

IGNORE = 255


def write(settings: SampleSettings, root: Path) -> None:
    """Write the sample to ``root/VOCdevkit/VOC2012``.

    The first half of the training scenes, rounded up, is listed in ``train.txt`` with masks in
    ``SegmentationClass``, the rest in ``aug.txt`` with masks in ``SegmentationClassAug``, as VOC
    and the SBD augmentation are. The detection lists in ``ImageSets/Main`` name all of them.
    """
    folder = root / 'VOCdevkit' / 'VOC2012'
    jobs = [
        (split, index, f'{split}_{index:05d}')
        for split, count in settings.counts.items()
        for index in range(count)
    ]
    names = {split: [job[2] for job in jobs if job[0] == split] for split in settings.counts}
    n_train = train_without_aug(settings.counts['train'])
    augmented = set(names['train'][n_train:])
    for split, index, name in track(jobs, 'drawing scenes'):
        # A scene's annotation is written last, so it stands for the whole scene.
        if not (folder / 'Annotations' / f'{name}.xml').exists():
            masks = 'SegmentationClassAug' if name in augmented else 'SegmentationClass'
            _write_scene(settings.draw(split, index), folder, name, masks)

    lists = folder / 'ImageSets' / 'Segmentation'
    write_lines(lists / 'train.txt', names['train'][:n_train])
    write_lines(lists / 'val.txt', names['val'])
    write_lines(lists / 'trainval.txt', names['train'][:n_train] + names['val'])
    write_lines(lists / 'aug.txt', names['train'][n_train:])
    names['trainval'] = names['train'] + names['val']
    for split, members in names.items():
        _write_detection_lists(folder, split, members)


def train_without_aug(count: int) -> int:
    """How many of ``count`` training scenes ``train.txt`` lists; the rest is in ``aug.txt``."""
    return (count + 1) // 2


def _write_scene(scene: Scene, folder: Path, name: str, masks: str) -> None:
    jpeg = cv2.imencode(
        '.jpg', cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95]
    )[1]
    write_atomic(folder / 'JPEGImages' / f'{name}.jpg', jpeg.tobytes())
    border = _border(scene.instance_map)
    for kind, labels in ((masks, scene.class_map), ('SegmentationObject', scene.instance_map)):
        labels[border] = IGNORE
        buffer = io.BytesIO()
        palette_image(labels).save(buffer, 'PNG')
        write_atomic(folder / kind / f'{name}.png', buffer.getvalue())
    write_atomic(folder / 'Annotations' / f'{name}.xml', _annotation(scene, name))


def _border(instance_map: np.ndarray) -> np.ndarray:
    """Pixels whose 3x3 neighbourhood holds more than one object: VOC leaves these undecided."""
    kernel = np.ones((3, 3), np.uint8)
    return cv2.dilate(instance_map, kernel) != cv2.erode(instance_map, kernel)


def _annotation(scene: Scene, name: str) -> bytes:
    """VOC's XML; its box corners count from 1 and include the last pixel."""
    height, width = scene.image.shape[:2]
    tree = ET.Element('annotation')
    _add(tree, folder='VOC2012', filename=f'{name}.jpg')
    _add(ET.SubElement(tree, 'source'), database='mmca synthetic sample', annotation='generated')
    _add(ET.SubElement(tree, 'size'), width=width, height=height, depth=3)
    _add(tree, segmented=1)
    for instance in scene.instances:
        item = ET.SubElement(tree, 'object')
        x1, y1, x2, y2 = instance.box
        _add(item, name=instance.name, pose='Unspecified')
        _add(item, truncated=int(instance.truncated), occluded=int(instance.occluded), difficult=0)
        _add(ET.SubElement(item, 'bndbox'), xmin=x1 + 1, ymin=y1 + 1, xmax=x2, ymax=y2)
    ET.indent(tree, '\t')
    return ET.tostring(tree)


def _add(parent: ET.Element, **values: object) -> None:
    for key, value in values.items():
        ET.SubElement(parent, key).text = str(value)


def _write_detection_lists(folder: Path, split: str, members: list[str]) -> None:
    """``Main/<split>.txt`` and, per class, ``Main/<class>_<split>.txt`` with 1 or -1."""
    lists = folder / 'ImageSets' / 'Main'
    write_lines(lists / f'{split}.txt', members)
    present = {
        name: {item.text for item in ET.parse(folder / 'Annotations' / f'{name}.xml').iter('name')}
        for name in members
    }
    for label in VOC_CLASSES:
        write_lines(
            lists / f'{label}_{split}.txt',
            (f'{name} {1 if label in present[name] else -1:2d}' for name in members),
        )
