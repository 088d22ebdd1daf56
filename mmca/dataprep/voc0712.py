"""PASCAL VOC 2007 and 2012 for detection: 16,551 images to train, VOC 2007's 4,952 to test."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import PurePosixPath

from ..sampledata.classes import VOC_CLASSES
from . import voc, voc2012
from .archives import Archive, ensure_archives, extract

HELP = 'PASCAL VOC 2007 and 2012 for detection'
_HOME = 'http://host.robots.ox.ac.uk/pascal/VOC/voc2007'
#: Archive by year and list of ``ImageSets/Main``.
ARCHIVES = {
    ('VOC2007', 'trainval'): Archive(
        'VOCtrainval_06-Nov-2007.tar',
        f'{_HOME}/VOCtrainval_06-Nov-2007.tar',
        md5='c52e279531787c972589f7e41ab4ae64',
    ),
    ('VOC2007', 'test'): Archive(
        'VOCtest_06-Nov-2007.tar',
        f'{_HOME}/VOCtest_06-Nov-2007.tar',
        md5='b6e924de25625d8de591ea690078ad9f',
    ),
    ('VOC2012', 'trainval'): voc2012.VOC,
}
#: Images per year and list.
EXPECTED = {'VOC2007': {'trainval': 5011, 'test': 4952}, 'VOC2012': {'trainval': 11540}}


def add_options(parser: ArgumentParser) -> None:
    """This dataset has no options of its own."""


def prepare(options: Namespace) -> None:
    """Unpack to ``<data root>/VOCdevkit/VOC{2007,2012}``, then verify.

    ``VOC2012`` is the folder of the ``voc2012`` dataset, too: what is there serves both.
    """
    root = options.data_root / 'VOCdevkit'
    needed = [
        archive
        for (year, split), archive in ARCHIVES.items()
        if not voc.is_complete(root / year, split, EXPECTED[year][split])
    ]
    for path in ensure_archives(needed, options):
        extract(path, options.data_root, _target)
    check(options)


def check(options: Namespace) -> None:
    """Verify counts, images and boxes."""
    root = options.data_root / 'VOCdevkit'
    folders = {root / year: splits for year, splits in EXPECTED.items()}
    voc.verify(root, folders, VOC_CLASSES, options.command)


def _target(name: PurePosixPath) -> str | None:
    wanted = name.parts[:2] in [('VOCdevkit', year) for year in EXPECTED]
    return str(name) if wanted else None
