"""PASCAL VOC 2007's layout for detection."""

from __future__ import annotations

from pathlib import Path

from ...progress import track
from ..settings import SampleSettings
from .voc import annotation_path, write_detection_lists, write_scene


def write(settings: SampleSettings, root: Path) -> None:
    """Write the sample to ``root/VOCdevkit/VOC2007``.

    As VOC 2007 is used, ``trainval`` lists the training scenes and ``test`` the validation scenes;
    ``train`` and ``val`` are the first half of the training scenes, rounded up, and the rest.
    """
    folder = root / 'VOCdevkit' / 'VOC2007'
    jobs = [
        (split, index, f'{split}_{index:05d}')
        for split, count in settings.counts.items()
        for index in range(count)
    ]
    for split, index, name in track(jobs, 'drawing scenes'):
        if not annotation_path(folder, name).exists():
            write_scene(settings.draw(split, index), folder, name, segmented=False)

    names = [name for _, _, name in jobs]
    trainval, test = names[: settings.train], names[settings.train :]
    half = (settings.train + 1) // 2
    lists = {'train': trainval[:half], 'val': trainval[half:], 'trainval': trainval, 'test': test}
    for split, members in lists.items():
        write_detection_lists(folder, split, members)
