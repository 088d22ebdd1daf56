"""BCCD, blood cells under the microscope: 3 classes, 205/87/72 images, VOC's layout."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path, PurePosixPath

from . import voc
from .archives import Archive, ensure_archives, extract
from .common import PrepareError, copy_files

HELP = 'BCCD, blood cells for detection'
ARCHIVE = Archive(
    'BCCD_Dataset-master.zip',
    'https://github.com/Shenggan/BCCD_Dataset/archive/refs/heads/master.zip',
)
CLASSES = ('RBC', 'WBC', 'Platelets')
EXPECTED = {'train': 205, 'val': 87, 'test': 72}
_SUFFIXES = {'Annotations': '.xml', 'ImageSets': '.txt', 'JPEGImages': '.jpg'}


def add_options(parser: ArgumentParser) -> None:
    """Add the options of the ``bccd`` subcommand."""
    parser.add_argument(
        '--from-folder',
        type=Path,
        metavar='DIR',
        help='copy Annotations, ImageSets and JPEGImages from here',
    )


def prepare(options: Namespace) -> None:
    """Fill ``<data root>/bccd`` from the archive or a folder, and verify."""
    root = options.data_root / 'bccd'
    if not all(voc.is_complete(root, split, count) for split, count in EXPECTED.items()):
        if options.from_folder:
            _copy(options.from_folder, root)
        else:
            (path,) = ensure_archives([ARCHIVE], options)
            extract(path, root, _target)
    check(options)


def check(options: Namespace) -> None:
    """Verify counts, images and boxes; two of the published boxes have no area."""
    root = options.data_root / 'bccd'
    voc.verify(root, {root: EXPECTED}, CLASSES, options.command)


def _target(name: PurePosixPath) -> str | None:
    below = name.parts[1:]
    wanted = len(below) > 2 and below[0] == 'BCCD' and name.suffix == _SUFFIXES.get(below[1])
    return '/'.join(below[1:]) if wanted else None


def _copy(source: Path, root: Path) -> None:
    missing = [folder for folder in _SUFFIXES if not (source / folder).is_dir()]
    if missing:
        raise PrepareError(f'--from-folder {source} lacks the folder(s) {", ".join(missing)}')
    files = [
        path
        for folder, suffix in _SUFFIXES.items()
        for path in sorted((source / folder).rglob(f'*{suffix}'))
    ]
    copy_files(files, source, root)
