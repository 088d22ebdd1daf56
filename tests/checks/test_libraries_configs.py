"""What the libraries' own configs say is not refused: nobody's usual setting is taken for wrong."""

import importlib
from pathlib import Path

import pytest
from mmengine.config import Config

from mmca.checks.run import CHECKS
from mmca.config_walk import LOADERS

# Those that need no data.
NAMES = ('loops', 'metrics', 'class_numbers', 'class_order', 'pipelines')
STEP = 80  # of some 2,000 configs


@pytest.mark.slow
@pytest.mark.parametrize('library', ['mmseg', 'mmdet', 'mmpretrain'])
@pytest.mark.input_fault(
    'Any of it',
    "the libraries' own configs",
    'not refused',
)
def test_a_librarys_own_configs_are_not_refused(library):
    folder = Path(importlib.import_module(library).__file__).parent / '.mim/configs'
    paths = [path for path in sorted(folder.rglob('*.py')) if '_base_' not in path.parts]
    configs = {}
    for path in paths[1::STEP]:
        try:
            cfg = Config.fromfile(path)
        except Exception:  # it imports what is not installed
            continue
        if cfg.get('model'):
            configs[path] = cfg
    assert len(configs) > len(paths) // (2 * STEP) > 1
    found = {
        (path, name): CHECKS[name](cfg, [loader for loader in LOADERS if cfg.get(loader)])
        for path, cfg in configs.items()
        for name in NAMES
    }
    assert {key: problems for key, problems in found.items() if problems} == {}
