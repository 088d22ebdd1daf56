"""What the datasets in PASCAL VOC's layout share: their lists, and verifying them for detection."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from mmca.checks.findings import describe
from mmca.checks.voc_xml import check_voc_xml

from .common import PrepareError, read_lines
from .verify import report, verify_counts, verify_pairs


def list_names(folder: Path, kind: str, split: str) -> list[str]:
    """Names in ``ImageSets/<kind>/<split>.txt``; none if it does not exist."""
    path = _list_path(folder, kind, split)
    return read_lines(path) if path.exists() else []


def _list_path(folder: Path, kind: str, split: str) -> Path:
    return folder / 'ImageSets' / kind / f'{split}.txt'


def _image(folder: Path, name: str) -> Path:
    return folder / 'JPEGImages' / f'{name}.jpg'


def _annotation(folder: Path, name: str) -> Path:
    return folder / 'Annotations' / f'{name}.xml'


def is_complete(folder: Path, split: str, count: int) -> bool:
    """Whether a detection list has ``count`` names, all with image and annotation."""
    names = list_names(folder, 'Main', split)
    return len(names) == count and all(
        path(folder, name).exists() for name in names for path in (_image, _annotation)
    )


def verify(
    root: Path,
    expected: Mapping[Path, Mapping[str, int]],
    classes: Collection[str],
    command: str,
) -> None:
    """Verify counts, images and boxes of the detection lists.

    Args:
        root: Folder of the dataset.
        expected: For each folder in VOC's layout in it the number of images in each list of
            ``ImageSets/Main``.
        classes: Names of the classes.
        command: What to run for another try.

    Raises:
        PrepareError: Something is missing or damaged.
    """
    if not root.is_dir():
        raise PrepareError(f'{root} does not exist; run: {command}')
    found, wanted = {}, {}
    images: dict[Path, Path] = {}  # with their annotations; lists may overlap
    for folder, splits in expected.items():
        for split, count in splits.items():
            names = list_names(folder, 'Main', split)
            path = str(_list_path(folder, 'Main', split))
            found[path], wanted[path] = len(names), count
            images |= {_image(folder, name): _annotation(folder, name) for name in names}
    checked = check_voc_xml({xml: image for image, xml in images.items()}, classes)
    problems = verify_counts(found, wanted) + checked.problems
    problems += verify_pairs([(image, None) for image in images], ())
    totals = [
        f'{count} {(folder / split).relative_to(root)}'
        for folder, splits in expected.items()
        for split, count in splits.items()
    ]
    report(
        root,
        problems,
        f'Remove the files named above that exist, then run: {command}',
        lambda: ', '.join([*totals, describe(checked.counts)]),
    )
