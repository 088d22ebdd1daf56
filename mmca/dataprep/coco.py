"""COCO 2017 for detection: 118,287 images to train, 5,000 to validate, 80 classes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from mmca.checks.coco import check_coco
from mmca.checks.findings import describe
from mmca.progress import track

from .archives import Archive, ensure_archives, extract
from .common import PrepareError
from .verify import report, verify_counts, verify_pairs

HELP = 'COCO 2017 for detection'
_HOME = 'http://images.cocodataset.org'
#: Archive by the folder that it fills.
ARCHIVES = {
    'train2017': Archive(
        'train2017.zip', f'{_HOME}/zips/train2017.zip', md5='cced6f7f71b7629ddf16f17bbcfab6b2'
    ),
    'val2017': Archive(
        'val2017.zip', f'{_HOME}/zips/val2017.zip', md5='442b8da7639aecaf257c1dceb8ba8c80'
    ),
    'annotations': Archive(
        'annotations_trainval2017.zip',
        f'{_HOME}/annotations/annotations_trainval2017.zip',
        md5='f4bbac642086de4f52a3fdda2de5fa2c',
    ),
}
EXPECTED = {'train2017': 118_287, 'val2017': 5000}
#: In the order of the category ids, which leave ten numbers of 1 to 90 out.
CLASSES = (
    *('person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train', 'truck', 'boat'),
    *('traffic light', 'fire hydrant', 'stop sign', 'parking meter', 'bench', 'bird', 'cat'),
    *('dog', 'horse', 'sheep', 'cow', 'elephant', 'bear', 'zebra', 'giraffe', 'backpack'),
    *('umbrella', 'handbag', 'tie', 'suitcase', 'frisbee', 'skis', 'snowboard', 'sports ball'),
    *('kite', 'baseball bat', 'baseball glove', 'skateboard', 'surfboard', 'tennis racket'),
    *('bottle', 'wine glass', 'cup', 'fork', 'knife', 'spoon', 'bowl', 'banana', 'apple'),
    *('sandwich', 'orange', 'broccoli', 'carrot', 'hot dog', 'pizza', 'donut', 'cake', 'chair'),
    *('couch', 'potted plant', 'bed', 'dining table', 'toilet', 'tv', 'laptop', 'mouse'),
    *('remote', 'keyboard', 'cell phone', 'microwave', 'oven', 'toaster', 'sink'),
    *('refrigerator', 'book', 'clock', 'vase', 'scissors', 'teddy bear', 'hair drier'),
    'toothbrush',
)


def add_options(parser: ArgumentParser) -> None:
    """This dataset has no options of its own."""


def prepare(options: Namespace) -> None:
    """Unpack images and instance annotations to ``<data root>/coco``, then verify."""
    root = options.data_root / 'coco'
    needed = [split for split in EXPECTED if len(_images(root, split)) != EXPECTED[split]]
    if not all(_annotations(root, split).exists() for split in EXPECTED):
        needed.append('annotations')
    for path in ensure_archives([ARCHIVES[name] for name in needed], options):
        extract(path, root, _target)
    check(options)


def check(options: Namespace) -> None:
    """Verify counts, images and boxes."""
    verify(options.data_root / 'coco', EXPECTED, CLASSES, options.command)


def verify(root: Path, expected: Mapping[str, int], classes: Sequence[str], command: str) -> None:
    """Verify a folder in COCO 2017's layout.

    Args:
        root: The folder.
        expected: Number of images in each split.
        classes: Names of the classes, in order.
        command: What to run for another try.

    Raises:
        PrepareError: Something is missing or damaged.
    """
    if not root.is_dir():
        raise PrepareError(f'{root} does not exist; run: {command}')
    found, wanted, problems = {}, {}, []
    counts: Counter[str] = Counter()
    for split in track(expected, 'checking annotations'):
        path = _annotations(root, split)
        checked = check_coco(path, classes, root / split)
        problems += checked.problems
        counts += checked.counts
        found |= {split: len(_images(root, split)), str(path): checked.counts['images']}
        wanted |= dict.fromkeys((split, str(path)), expected[split])
    problems = verify_counts(found, wanted) + problems
    images = [path for split in expected for path in _images(root, split)]
    problems += verify_pairs([(path, None) for path in images], ())
    totals = [f'{count} {split}' for split, count in expected.items()]
    report(
        root,
        problems,
        f'Remove the files named above that exist, then run: {command}',
        lambda: ', '.join([*totals, describe(counts)]),
    )


def _images(root: Path, split: str) -> list[Path]:
    return sorted((root / split).glob('*.jpg'))


def _annotations(root: Path, split: str) -> Path:
    return root / 'annotations' / f'instances_{split}.json'


def _target(name: PurePosixPath) -> str | None:
    folder = name.parts[0]
    image = folder in EXPECTED and name.suffix == '.jpg'
    wanted = {f'annotations/instances_{split}.json' for split in EXPECTED}
    return str(name) if image or str(name) in wanted else None
