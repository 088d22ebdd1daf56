"""Images that a list or a file of annotations names several times: they count as often."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from .shared_data import COMPARED, datasets_read_whole, names_in_json


def warn_of_repeated_images(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Say on stderr which validation or test data has images twice; gives no problem.

    A training may show an image more often than others on purpose.
    """
    for loader in loaders:
        if loader == 'train_dataloader':
            continue
        for _, path in datasets_read_whole(cfg, loader):
            if path is None or path.stat().st_size > COMPARED:
                continue
            try:
                entries = _entries(path)
            except (ValueError, TypeError, KeyError):  # malformed; another check says so
                continue
            repeated = [name for name, count in Counter(entries).items() if count > 1]
            if repeated:
                number = len(repeated)
                images = '1 image' if number == 1 else f'{number} images'
                print(
                    f'Warning: the {loader} reads {images} several times, such as {repeated[0]}: '
                    f'each counts as often in the figures. Remove the repetitions from {path}',
                    file=sys.stderr,
                )
    return []


def _entries(path: Path) -> list[str]:
    if path.suffix == '.json':
        return names_in_json(path)
    return [line for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
