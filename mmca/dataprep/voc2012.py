"""PASCAL VOC 2012 with the SBD masks (Hariharan et al., ICCV 2011): 10,582 images to train."""

from __future__ import annotations

import io
from argparse import ArgumentParser, Namespace
from pathlib import Path, PurePosixPath

from mmca.files import write_atomic, write_lines
from mmca.images.palette import palette_image

from .archives import Archive, ensure_archives, extract, members
from .common import PrepareError
from .verify import report, verify_counts, verify_pairs
from .voc import list_names

HELP = 'PASCAL VOC 2012 with the SBD augmentation'
VOC = Archive(
    'VOCtrainval_11-May-2012.tar',
    'http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar',
    md5='6cd6e144f989b92b3379bac3b3de84fd',
)
SBD = Archive(
    'benchmark.tgz',
    'http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/'
    'benchmark.tgz',
    md5='82b4d87ceb2ed10f6038a1cba92111cb',
)
#: Images per list of ``ImageSets/Segmentation``; train and aug make the 10,582.
EXPECTED = {'train': 1464, 'aug': 9118, 'val': 1449}
LABELS = (*range(21), 255)
_MASK_FOLDERS = {'train': 'SegmentationClass', 'val': 'SegmentationClass'}
_AUG_FOLDER = 'SegmentationClassAug'


def add_options(parser: ArgumentParser) -> None:
    """This dataset has no options of its own."""


def prepare(options: Namespace) -> None:
    """Unpack VOC and convert SBD to ``<data root>/VOCdevkit/VOC2012``, then verify."""
    root = options.data_root / 'VOCdevkit' / 'VOC2012'
    needed = [
        archive for archive, there in ((VOC, _has_voc(root)), (SBD, _has_aug(root))) if not there
    ]
    if SBD in needed:
        _import_loadmat()
    paths = dict(zip(needed, ensure_archives(needed, options), strict=True))
    if VOC in paths:
        extract(paths[VOC], options.data_root, _voc_target)
    if SBD in paths:
        _convert_sbd(paths[SBD], root)
    check(options)


def check(options: Namespace) -> None:
    """Verify counts, images and masks."""
    verify(options.data_root / 'VOCdevkit' / 'VOC2012', EXPECTED, options.command)


def verify(root: Path, expected: dict[str, int], command: str) -> None:
    """Verify a folder in VOC 2012's layout.

    Args:
        root: The ``VOC2012`` folder.
        expected: Number of images in each list of ``ImageSets/Segmentation``.
        command: What to run for another try.

    Raises:
        PrepareError: Something is missing or damaged.
    """
    if not root.is_dir():
        raise PrepareError(f'{root} does not exist; run: {command}')
    names = {split: list_names(root, 'Segmentation', split) for split in expected}
    pairs = [pair for split in expected for pair in _pairs(root, split)]
    others = set((root / 'JPEGImages').glob('*.jpg')) - {image for image, _ in pairs}
    problems = verify_counts({split: len(found) for split, found in names.items()}, expected)
    problems += verify_pairs(pairs + [(image, None) for image in sorted(others)], LABELS)
    report(
        root,
        problems,
        f'Remove the files named above that exist, then run: {command}',
        lambda: ', '.join(f'{count} {split}' for split, count in expected.items()),
    )


def _pairs(root: Path, split: str) -> list[tuple[Path, Path]]:
    masks = root / _MASK_FOLDERS.get(split, _AUG_FOLDER)
    return [
        (root / 'JPEGImages' / f'{name}.jpg', masks / f'{name}.png')
        for name in list_names(root, 'Segmentation', split)
    ]


def _has_voc(root: Path) -> bool:
    pairs = [pair for split in ('train', 'val') for pair in _pairs(root, split)]
    detection = list_names(root, 'Main', 'trainval')
    files = [path for pair in pairs for path in pair]
    files += [root / 'JPEGImages' / f'{name}.jpg' for name in detection]
    files += [root / 'Annotations' / f'{name}.xml' for name in detection]
    wanted = EXPECTED['train'] + EXPECTED['val']
    return len(pairs) == wanted and bool(detection) and all(path.exists() for path in files)


def _has_aug(root: Path) -> bool:
    pairs = _pairs(root, 'aug')
    return len(pairs) == EXPECTED['aug'] and all(mask.exists() for _, mask in pairs)


def _voc_target(name: PurePosixPath) -> str | None:
    return str(name) if name.parts[:2] == ('VOCdevkit', 'VOC2012') else None


def _import_loadmat():
    try:
        from scipy.io import loadmat
    except ImportError:
        raise PrepareError(
            'converting the SBD masks needs scipy; install it with: pip install scipy'
        ) from None
    return loadmat


def _convert_sbd(archive: Path, root: Path) -> None:
    """Turn SBD's ``.mat`` masks into palette PNGs, and list those that VOC does not have."""
    loadmat = _import_loadmat()
    listed: set[str] = set()
    for member in members(archive):
        path = PurePosixPath(member.name)
        if path.parts[-2:] in (('dataset', 'train.txt'), ('dataset', 'val.txt')):
            listed.update(member.read().decode().split())
        elif path.parent.name == 'cls' and path.suffix == '.mat':
            mask = root / _AUG_FOLDER / f'{path.stem}.png'
            if not mask.exists():
                labels = loadmat(io.BytesIO(member.read()))['GTcls']['Segmentation'][0][0]
                buffer = io.BytesIO()
                palette_image(labels).save(buffer, 'PNG')
                write_atomic(mask, buffer.getvalue())
    voc = {name for split in ('train', 'val') for name in list_names(root, 'Segmentation', split)}
    write_lines(root / 'ImageSets' / 'Segmentation' / 'aug.txt', sorted(listed - voc))
