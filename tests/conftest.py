"""Fixtures that the tests share: a tiny dataset, a tiny config, a training of it, the kernels.

What needs more than torch is imported where it is used: tests/ops runs without.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from helpers import preloaded

# Before torch is imported, here and in processes that tests start: with tensors this small threads
# mostly wait for each other, and on a busy machine they take many times as long.
os.environ.setdefault('OMP_NUM_THREADS', '1')


def pytest_configure(config) -> None:
    """Processes that pytest distributes tests to share the server of the first."""
    config.add_cleanup(preloaded.start())


# Files that take longest: they begin first, so that no process works on alone at the end.
LONGEST = [
    'infrastructure/test_mim.py',
    'engine/test_distributed.py',
    'infrastructure/test_demo.py',
    'tables/test_model_index.py',
    'configs/test_detection_configs.py',
    'fuzz/test_damaged_input.py',
]


def pytest_collection_modifyitems(items) -> None:
    order = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(autouse=True)
def same_state() -> Iterator[None]:
    """Later tests find PyTorch and mmengine as this one found them."""
    import torch

    dtype, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        from mmengine.registry import DefaultScope
    except ImportError:
        DefaultScope = None
    # A fresh process has no scope; fixtures may leave one, and mmengine replaces this dict.
    scopes = DefaultScope and DefaultScope._instance_dict
    if DefaultScope:
        DefaultScope._instance_dict = type(scopes)()
    yield
    torch.set_default_dtype(dtype)
    torch.set_grad_enabled(gradients)
    if DefaultScope:
        DefaultScope._instance_dict = scopes


@pytest.fixture(scope='session')
def sample_voc(tmp_path_factory) -> Path:
    """The VOC2012 folder of a sample with 24 training (12 + 12) and 8 validation scenes."""
    from mmca.sampledata import SampleSettings, generate

    root = tmp_path_factory.mktemp('sample')
    generate(SampleSettings(train=24, val=8, size=64), root)
    return root / 'VOCdevkit' / 'VOC2012'


@pytest.fixture(scope='session')
def tiny_config(sample_voc, tmp_path_factory) -> Path:
    """A config that trains 12 iterations on ``sample_voc``, with checkpoints at 4, 8 and 12."""
    from helpers.tools import CONFIG, ROOT

    path = tmp_path_factory.mktemp('configs') / 'tiny.py'
    base = str(ROOT / 'configs' / 'deeplabv3_mbv2ca_sample.py')
    path.write_text(CONFIG.format(base=base, data_root=str(sample_voc)))
    return path


class Run(NamedTuple):
    """A finished training: its folder and what it wrote."""

    work_dir: Path
    output: str


@pytest.fixture(scope='session')
def trained(tiny_config, tmp_path_factory) -> Run:
    """An uninterrupted training of ``tiny_config``."""
    from helpers.tools import run_tool

    work_dir = tmp_path_factory.mktemp('work') / 'trained'
    outcome = run_tool('train', tiny_config, '--work-dir', work_dir)
    assert outcome.code == 0, outcome.output
    return Run(work_dir, outcome.output)


class LibraryRun(NamedTuple):
    """A finished training of one epoch: its folder and config."""

    work_dir: Path
    config: Path


@pytest.fixture(scope='session')
def trained_detector(sample_voc, tmp_path_factory) -> LibraryRun:
    """An mmdet detector with the backbone."""
    from helpers.libraries import write_detection_config

    folder = tmp_path_factory.mktemp('detector')
    return train_epoch(folder, write_detection_config(folder, sample_voc))


@pytest.fixture(scope='session')
def trained_classifier(tmp_path_factory) -> LibraryRun:
    """An mmpretrain classifier with the backbone; its images lie in ``config.parent/images``."""
    from helpers.libraries import write_classification_config

    folder = tmp_path_factory.mktemp('classifier')
    return train_epoch(folder, write_classification_config(folder))


@pytest.fixture(scope='session')
def cases(tmp_path_factory) -> dict:
    """A small network of each task, for exports: config, checkpoint, images."""
    from helpers.exported import CONFIGS, make_case

    return {task: make_case(task, tmp_path_factory.mktemp(task)) for task in CONFIGS}


def train_epoch(folder: Path, config: Path) -> LibraryRun:
    from helpers.tools import run_tool

    outcome = run_tool('train', config, '--work-dir', folder / 'run')
    assert outcome.code == 0, outcome.output
    return LibraryRun(folder / 'run', config)


@pytest.fixture(scope='session')
def compiled_kernels() -> None:
    """Those of the attention, for as long as it takes on a busy machine."""
    from mmca.ops.build import BuildError, build

    try:
        build('native')
    except BuildError as error:
        pytest.skip(f'the kernels cannot be compiled here: {error}')


@pytest.fixture
def fast(compiled_kernels) -> Iterator[None]:
    """Coordinate attention through its C++ kernels."""
    import torch

    from mmca.ops.implementation import kernels_for, use_implementation

    with use_implementation('cpp'):
        assert kernels_for(torch.zeros(1, 1, 1, 1)) is not None
        yield
