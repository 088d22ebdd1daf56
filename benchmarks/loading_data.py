"""Pictures to load: real ones of a folder, else drawn ones of the true size and format."""

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import cv2
import numpy as np
from PIL import Image

_IMAGES = ('.jpg', '.jpeg', '.png')
_CLASSES = 10  # of drawn boxes and masks; each dataset has as many


class Pictures(NamedTuple):
    """What a dataset's pictures are like: (width, height), and how they are stored."""

    config: str
    size: tuple[int, int]
    suffix: str
    boxes: int = 0
    masks: bool = False


PICTURES = {
    'imagenet': Pictures('mbv2ca_imagenet', (500, 375), '.jpg'),
    'imagenet_large': Pictures('mbv2ca_imagenet', (1600, 1200), '.jpg'),
    'cifar10': Pictures('mbv2ca_cifar10', (32, 32), '.jpg'),
    'coco': Pictures('ssdlite320_mbv2ca_coco', (640, 480), '.jpg', boxes=7),
    'voc0712': Pictures('ssdlite320_mbv2ca_voc', (500, 375), '.jpg', boxes=3),
    'bccd': Pictures('ssdlite320_mbv2ca_bccd', (640, 480), '.jpg', boxes=13),
    'voc2012': Pictures('deeplabv3_mbv2ca_voc', (500, 375), '.jpg', masks=True),
    'cityscapes': Pictures('deeplabv3_mbv2ca_cityscapes', (2048, 1024), '.png', masks=True),
    'camvid': Pictures('deeplabv3_mbv2ca_camvid', (480, 360), '.jpg', masks=True),
}


def samples(
    name: str, given: Path | None, count: int, scratch: Path, shrink: int = 1
) -> list[dict]:
    """What a dataset's entries are before its pipeline: paths, and boxes or a label.

    Args:
        name (str): One of PICTURES.
        given (Path | None): Folder of real pictures, as ``tools/prepare_data.py`` makes it.
        count (int): How many; of a folder those that come first.
        scratch (Path): Where pictures are drawn.
        shrink (int): Divides the sides of drawn pictures.
    """
    kind = PICTURES[name]
    paths = _real(kind, given, count) if given else _drawn(name, count, scratch, shrink)
    entries = []
    for index, (image, mask) in enumerate(paths):
        entry = dict(img_path=str(image), img_id=index, gt_label=index % _CLASSES)
        if mask:
            entry.update(
                seg_map_path=str(mask), seg_fields=[], reduce_zero_label=False, label_map=None
            )
        if kind.boxes:
            entry['instances'] = _boxes(image, kind.boxes, index)
        entries.append(entry)
    return entries


def _real(kind: Pictures, root: Path, count: int) -> list[tuple[Path, Path | None]]:
    images = sorted(p for p in root.rglob('*') if p.suffix.lower() in _IMAGES)
    if not kind.masks:
        return [(path, None) for path in images[:count]]
    found = []
    for path in images:
        names = [
            part for part in path.parent.parts if part in ('train', 'leftImg8bit', 'JPEGImages')
        ]
        folders = {
            'train': path.parents[1] / 'trainannot',
            'JPEGImages': path.parents[1] / 'SegmentationClass',
        }
        mask = folders.get(path.parent.name, path.parent) / f'{path.stem}.png'
        if 'leftImg8bit' in names:
            other = str(path).replace('_leftImg8bit', '_gtFine_labelTrainIds')
            mask = Path(other.replace('leftImg8bit', 'gtFine'))
        if mask.is_file() and mask != path:
            found.append((path, mask))
    return found[:count]


def _drawn(name: str, count: int, scratch: Path, shrink: int) -> list[tuple[Path, Path | None]]:
    kind = PICTURES[name]
    width, height = (max(side // shrink, 32) for side in kind.size)
    folder = scratch / f'{name}_{width}x{height}'
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for index in range(count):
        image, mask = folder / f'{index}{kind.suffix}', folder / f'{index}_mask.png'
        if not image.is_file():
            rng = np.random.default_rng(index)
            options = dict(quality=92) if kind.suffix == '.jpg' else {}
            Image.fromarray(draw(rng, width, height)).save(image, **options)
            if kind.masks:
                labels = rng.integers(0, _CLASSES, (height // 40 + 2, width // 40 + 2), np.uint8)
                flat = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
                Image.fromarray(flat).save(mask)
        found.append((image, mask if kind.masks else None))
    return found


def draw(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Detail at all scales, the finer the fainter, as photographs have it."""
    total, cell = np.full((height, width, 3), 110.0), 128
    while cell:
        shape = (height // cell + 2, width // cell + 2, 3)
        octave = rng.normal(0, 2 + 0.5 * cell**0.9, shape)
        total += cv2.resize(octave, (width, height), interpolation=cv2.INTER_CUBIC)
        cell //= 2
    return total.clip(0, 255).astype(np.uint8)


def _boxes(image: Path, count: int, seed: int) -> list[dict]:
    annotation = image.parents[1] / 'Annotations' / f'{image.stem}.xml'
    if annotation.is_file():
        names = ('xmin', 'ymin', 'xmax', 'ymax')
        boxes = [
            [float(item.find(f'bndbox/{name}').text) for name in names]
            for item in ElementTree.parse(annotation).iter('object')
        ]
    else:
        rng = np.random.default_rng(seed)
        with Image.open(image) as opened:
            width, height = opened.size
        boxes = []
        for _ in range(count):
            x, y = rng.uniform(0, 0.8 * width), rng.uniform(0, 0.8 * height)
            boxes.append([x, y, x + 0.15 * width, y + 0.15 * height])
    return [dict(bbox=box, bbox_label=0, ignore_flag=0) for box in boxes]
