"""ImageNet's layout, ``<split>/<class>/<name>.jpg``: whole frames with a single object each."""

from __future__ import annotations

from pathlib import Path

from mmca.files import write_atomic

from ...progress import track
from ..classes import VOC_CLASSES
from ..scene import scene_labels
from ..settings import SampleSettings

OBJECTS = (1,)


def write(settings: SampleSettings, root: Path) -> None:
    """Write the sample to ``root/train`` and ``root/val``."""
    jobs = [(split, index) for split, count in settings.counts.items() for index in range(count)]
    for split, index in track(jobs, 'drawing scenes'):
        path = image_path(root, settings.seed, split, index)
        if not path.exists():
            write_atomic(path, settings.draw(split, index, OBJECTS).jpeg())


def image_path(root: Path, seed: int, split: str, index: int) -> Path:
    """Where a scene of the sample lies; its folder is the class of its object."""
    (label,) = scene_labels(seed, split, index, OBJECTS)
    return root / split / VOC_CLASSES[label - 1] / f'{split}_{index:05d}.jpg'
