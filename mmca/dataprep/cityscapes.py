"""Cityscapes with fine annotations: 2,975 frames to train, 500 to validate, 19 classes."""

from __future__ import annotations

import io
from argparse import ArgumentParser, Namespace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from mmca.files import write_atomic
from mmca.progress import track

from .archives import Archive, ensure_archives, extract
from .common import PrepareError
from .verify import report, verify_counts, verify_pairs

HELP = 'Cityscapes, fine annotations (its archives need a login there)'
_HOME = 'https://www.cityscapes-dataset.com/downloads/ (login)'
ARCHIVES = {
    'leftImg8bit': Archive('leftImg8bit_trainvaltest.zip', _HOME, login=True),
    'gtFine': Archive('gtFine_trainvaltest.zip', _HOME, login=True),
}
EXPECTED = {'train': 2975, 'val': 500}
_SUFFIXES = {'leftImg8bit': '_leftImg8bit.png', 'gtFine': '_gtFine_labelIds.png'}
_TRAIN_IDS_SUFFIX = '_gtFine_labelTrainIds.png'

#: Label ids of the 19 classes in the order of their training ids; all others are ignored (255).
CLASS_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
TRAIN_IDS = np.full(256, 255, np.uint8)
TRAIN_IDS[list(CLASS_IDS)] = np.arange(19)


def add_options(parser: ArgumentParser) -> None:
    """This dataset has no options of its own."""


def prepare(options: Namespace) -> None:
    """Unpack to ``<data root>/cityscapes``, make the training labels, and verify."""
    root = options.data_root / 'cityscapes'
    needed = [kind for kind in ARCHIVES if _count(root, kind) != EXPECTED]
    paths = ensure_archives([ARCHIVES[kind] for kind in needed], options)
    for kind, path in zip(needed, paths, strict=True):
        extract(path, root, lambda name, kind=kind: _target(name, kind))
    _write_train_ids(root)
    check(options)


def check(options: Namespace) -> None:
    """Verify counts, images and masks."""
    root = options.data_root / 'cityscapes'
    if not root.is_dir():
        raise PrepareError(f'{root} does not exist; run: {options.command}')
    problems = verify_counts(_count(root, 'leftImg8bit'), EXPECTED)
    pairs = [
        (image, _beside(root, image, _TRAIN_IDS_SUFFIX))
        for split in EXPECTED
        for image in _files(root, 'leftImg8bit', split)
    ]
    problems += verify_pairs(pairs, (*range(19), 255))
    report(
        root,
        problems,
        f'Remove the files named above that exist, then run: {options.command}',
        lambda: ', '.join(f'{count} {split}' for split, count in EXPECTED.items()),
    )


def _files(root: Path, kind: str, split: str) -> list[Path]:
    return sorted((root / kind / split).glob(f'*/*{_SUFFIXES[kind]}'))


def _count(root: Path, kind: str) -> dict[str, int]:
    return {split: len(_files(root, kind, split)) for split in EXPECTED}


def _beside(root: Path, image: Path, suffix: str) -> Path:
    """Path in ``gtFine`` of what belongs to an image."""
    split, city = image.parts[-3:-1]
    stem = image.name.removesuffix(_SUFFIXES['leftImg8bit'])
    return root / 'gtFine' / split / city / f'{stem}{suffix}'


def _target(name: PurePosixPath, kind: str) -> str | None:
    # The test split has no public labels, and both archives have a README and a licence.
    return str(name) if name.parts[0] == kind and name.parts[1] in EXPECTED else None


def _write_train_ids(root: Path) -> None:
    sources = [path for split in EXPECTED for path in _files(root, 'gtFine', split)]
    for source in track(sources, 'making training labels'):
        stem = source.name.removesuffix(_SUFFIXES['gtFine'])
        path = source.with_name(stem + _TRAIN_IDS_SUFFIX)
        if not path.exists():
            try:
                labels = np.array(Image.open(source))
            except OSError as error:
                raise PrepareError(
                    f'{source} cannot be decoded ({error}); remove it and run again'
                ) from None
            buffer = io.BytesIO()
            Image.fromarray(TRAIN_IDS[labels]).save(buffer, 'PNG')
            write_atomic(path, buffer.getvalue())
