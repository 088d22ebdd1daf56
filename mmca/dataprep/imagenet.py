"""ImageNet-1k (ILSVRC 2012): 1,000 classes, 1,281,167 images to train and 50,000 to validate."""

from __future__ import annotations

import io
import os
import re
import tarfile
from argparse import ArgumentParser, Namespace
from pathlib import Path, PurePosixPath

from mmca.progress import track

from .archives import Archive, Member, ensure_archives, extract, members
from .common import PrepareError
from .verify import report, verify_counts

HELP = (
    'ImageNet-1k, ILSVRC 2012 (its archives need a login there); checks counts and that no file is '
    'empty, but does not decode the images'
)
_HOME = 'https://image-net.org/challenges/LSVRC/2012/2012-downloads.php (login)'
TRAIN = Archive(
    'ILSVRC2012_img_train.tar', _HOME, md5='1d675b47d978889d74fa0da5fadfb00e', login=True
)
VAL = Archive('ILSVRC2012_img_val.tar', _HOME, md5='29b22e2961454d5413ddabcf34fc5622', login=True)
DEVKIT = Archive(
    'ILSVRC2012_devkit_t12.tar.gz', _HOME, md5='fa75699e90414af021442c21a62c3abf', login=True
)
EXPECTED = {'train': 1_281_167, 'val': 50_000}
CLASSES = 1000
#: Fewest and most images of a class.
PER_CLASS = {'train': (732, 1300), 'val': (50, 50)}
_LABELS = 'ILSVRC2012_validation_ground_truth.txt'


def add_options(parser: ArgumentParser) -> None:
    """This dataset has no options of its own."""


def prepare(options: Namespace) -> None:
    """Unpack to ``<data root>/imagenet/{train,val}/<wnid>``, and verify."""
    root = options.data_root / 'imagenet'
    needed = [TRAIN] if _scan(root / 'train')[0] != EXPECTED['train'] else []
    if _scan(root / 'val')[0] != EXPECTED['val']:
        needed += [DEVKIT, VAL]
        _import_loadmat()
    folder = options.archives or options.data_root / 'archives'
    missing = [archive for archive in needed if not (folder / archive.filename).exists()]
    # What is missing is said before the checksum of 138 GB is computed.
    paths = dict(zip(needed, ensure_archives(missing or needed, options), strict=True))
    if VAL in paths:
        wnids = _val_wnids(paths[DEVKIT])
        extract(paths[VAL], root / 'val', lambda name: _val_target(name, wnids))
    if TRAIN in paths:
        _unpack_train(paths[TRAIN], root)
    check(options)


def check(options: Namespace) -> None:
    """Verify classes and counts, and that no file is empty; images are not decoded."""
    root = options.data_root / 'imagenet'
    if not root.is_dir():
        raise PrepareError(f'{root} does not exist; run: {options.command}')
    totals, problems = {}, []
    for split in EXPECTED:
        totals[split], found = _scan(root / split)
        problems += found
    problems = verify_counts(totals, EXPECTED) + problems
    report(
        root,
        problems,
        'Move the files and folders named above that exist elsewhere (from train the whole class '
        f'folder, which is then unpacked again), then run: {options.command}',
        lambda: ', '.join(f'{count} {split}' for split, count in EXPECTED.items()),
    )


def _scan(folder: Path) -> tuple[int, list[str]]:
    """Number of images in all classes of a split, and one line per problem."""
    if not folder.is_dir():
        return 0, [f'{folder}: missing']
    entries = sorted(folder.iterdir())
    total, problems = 0, []
    if len(entries) != CLASSES:
        problems.append(f'{folder}: {len(entries)} class folders, should be {CLASSES}')
    low, high = PER_CLASS[folder.name]
    for path in track(entries, f'counting images in {folder}'):
        if not _is_wnid(path.name) or not path.is_dir():
            problems.append(f'{path}: not a class folder of ImageNet')
            continue
        count, found = _count_images(path)
        total += count
        problems += found
        if not low <= count <= high:
            wanted = low if low == high else f'{low} to {high}'
            problems.append(f'{path}: {count} images, should be {wanted}')
    return total, problems


def _is_wnid(name: str) -> bool:
    return re.fullmatch(r'n\d{8}', name) is not None


def _count_images(folder: Path) -> tuple[int, list[str]]:
    count, problems = 0, []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.endswith('.JPEG'):
                problems.append(f'{entry.path}: not an image of ImageNet')
            elif entry.stat().st_size == 0:
                problems.append(f'{entry.path}: empty')
            else:
                count += 1
    return count, problems


def _import_loadmat():
    try:
        from scipy.io import loadmat
    except ImportError:
        raise PrepareError(
            "reading ImageNet's labels needs scipy; install it with: pip install scipy"
        ) from None
    return loadmat


def _val_wnids(devkit: Path) -> list[str]:
    """WordNet id of every validation image, in order."""
    files = {}
    for member in members(devkit):
        name = PurePosixPath(member.name).name
        if name in ('meta.mat', _LABELS):
            files[name] = member.read()
    if len(files) != 2:
        raise PrepareError(f'{devkit} is not the development kit: it lacks meta.mat or {_LABELS}')
    synsets = _import_loadmat()(io.BytesIO(files['meta.mat']), squeeze_me=True)['synsets']
    wnids = {int(synset['ILSVRC2012_ID']): str(synset['WNID']) for synset in synsets}
    labels = [int(label) for label in files[_LABELS].split()]
    if len(labels) != EXPECTED['val']:
        raise PrepareError(f'{devkit}: {_LABELS} has {len(labels)} labels, not {EXPECTED["val"]}')
    return [wnids[label] for label in labels]


def _val_target(name: PurePosixPath, wnids: list[str]) -> str | None:
    number = re.fullmatch(r'ILSVRC2012_val_(\d{8})\.JPEG', name.name)
    return f'{wnids[int(number[1]) - 1]}/{name.name}' if number else None


def _unpack_train(path: Path, root: Path) -> None:
    """Unpack the archives of the classes within the archive, without copying them first.

    A class is unpacked aside and moved to ``train`` when it is whole. (torchvision's
    ``parse_train_archive`` first unpacks all 138 GB of inner archives and cannot be continued.)
    """
    aside = root / 'train.unpacking'
    (root / 'train').mkdir(parents=True, exist_ok=True)
    for member in members(path):
        wnid = PurePosixPath(member.name).stem
        if _is_wnid(wnid) and not (root / 'train' / wnid).exists():
            (aside / wnid).mkdir(parents=True, exist_ok=True)
            _unpack_class(member, aside / wnid)
            os.replace(aside / wnid, root / 'train' / wnid)
    if aside.is_dir():
        aside.rmdir()


def _unpack_class(member: Member, folder: Path) -> None:
    try:
        with member.open() as raw, tarfile.open(fileobj=raw) as archive:
            for info in archive:
                if info.isfile() and info.name.endswith('.JPEG'):
                    content = archive.extractfile(info).read()
                    if len(content) != info.size:
                        raise EOFError(f'{info.name} is cut off')
                    (folder / PurePosixPath(info.name).name).write_bytes(content)
    except (tarfile.TarError, EOFError) as error:
        raise PrepareError(
            f'{member.archive} is incomplete or damaged ({error} in {member.name}). Move it away '
            'and download it again.'
        ) from None
