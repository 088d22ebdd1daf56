"""Real images to prove or calibrate with."""

from collections.abc import Sequence
from pathlib import Path

import mmcv
import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmca.errors import UserError
from mmca.images.opening import naming_file

_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


def read_images(paths: Sequence[Path]) -> list[np.ndarray]:
    """(H, W, 3), uint8, BGR, each; a BadImageError names a file that cannot be read."""
    found = []
    for path in paths:
        with naming_file(str(path)):
            found.append(mmcv.imread(str(path), backend='pillow'))
    return found


def paths_in(folder: str | Path, number: int) -> list[Path]:
    """Up to ``number`` images below a folder, spread over all of them.

    Raises:
        UserError: If there is none.
    """
    files = [path for path in sorted(Path(folder).rglob('*')) if path.suffix.lower() in _SUFFIXES]
    if not files:
        raise UserError(f'{folder}: no images ({", ".join(_SUFFIXES)}) in this folder')
    return _spread(files, number)


def paths_of_test_set(cfg: Config, number: int) -> list[Path]:
    """Up to ``number`` images of a config's test set, spread over all of them.

    Raises:
        UserError: If the set is not there.
    """
    if not cfg.get('test_dataloader'):
        raise UserError('the config has no test set: name a folder with --images')
    settings = dict(cfg.test_dataloader.dataset, pipeline=[])
    try:
        scope = DefaultScope.overwrite_default_scope(cfg.default_scope)
        with scope, DATASETS.switch_scope_and_registry(None) as registry:
            dataset = registry.build(settings)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f'the test set of the config cannot be read ({error}): give its --data-root, or a '
            'folder of images with --images'
        ) from error
    return [
        Path(dataset.get_data_info(i)['img_path']) for i in _spread(range(len(dataset)), number)
    ]


def _spread(items: Sequence, number: int) -> list:
    places = np.linspace(0, len(items) - 1, min(number, len(items))).round().astype(int)
    return [items[int(place)] for place in places]
