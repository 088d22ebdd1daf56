"""PASCAL VOC 2012's layout, with the folders of the SBD augmentation."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np

from mmca.files import write_atomic, write_lines
from mmca.images.palette import palette_image

from ...progress import track
from ..scene import Scene
from ..settings import SampleSettings
from .voc import annotation_path, write_detection_lists, write_scene

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
        if not annotation_path(folder, name).exists():
            masks = 'SegmentationClassAug' if name in augmented else 'SegmentationClass'
            scene = settings.draw(split, index)
            _write_masks(scene, folder, name, masks)
            write_scene(scene, folder, name, segmented=True)

    lists = folder / 'ImageSets' / 'Segmentation'
    write_lines(lists / 'train.txt', names['train'][:n_train])
    write_lines(lists / 'val.txt', names['val'])
    write_lines(lists / 'trainval.txt', names['train'][:n_train] + names['val'])
    write_lines(lists / 'aug.txt', names['train'][n_train:])
    names['trainval'] = names['train'] + names['val']
    for split, members in names.items():
        write_detection_lists(folder, split, members)


def train_without_aug(count: int) -> int:
    """How many of ``count`` training scenes ``train.txt`` lists; the rest is in ``aug.txt``."""
    return (count + 1) // 2


def _write_masks(scene: Scene, folder: Path, name: str, masks: str) -> None:
    border = _border(scene.instance_map)
    for kind, labels in ((masks, scene.class_map), ('SegmentationObject', scene.instance_map)):
        labels[border] = IGNORE
        buffer = io.BytesIO()
        palette_image(labels).save(buffer, 'PNG')
        write_atomic(folder / kind / f'{name}.png', buffer.getvalue())


def _border(instance_map: np.ndarray) -> np.ndarray:
    """Pixels whose 3x3 neighbourhood holds more than one object: VOC leaves these undecided."""
    kernel = np.ones((3, 3), np.uint8)
    return cv2.dilate(instance_map, kernel) != cv2.erode(instance_map, kernel)
