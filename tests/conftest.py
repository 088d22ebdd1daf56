"""What the tests share: a tiny dataset, a tiny config, and the tools run in this process."""

import contextlib
import io
import os
import runpy
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mmca.sampledata import SampleSettings, generate

ROOT = Path(__file__).parents[1]

# Before torch is imported, here and in processes that tests start: with tensors this small threads
# mostly wait for each other, and on a busy machine they take many times as long.
os.environ.setdefault('OMP_NUM_THREADS', '1')

# The headline model at a quarter of its width, on the sample at 64 pixels. The crops are larger
# than the pictures: padding is in play, too.
CONFIG = """\
_base_ = {base!r}
model = dict(
    backbone=dict(widen_factor=0.25),
    decode_head=dict(in_channels=80, channels=16),
)
data_root = {data_root!r}
crop_size = (80, 80)
train_pipeline = [
    dict(type='mmca.SeedAugmentation'),
    dict(type='mmca.LoadImageFromFile'),
    dict(type='mmca.LoadSegAnnotations', num_classes=21),
    dict(type='RandomResize', scale=(64, 64), ratio_range=(0.75, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Pad', size=crop_size, pad_val=dict(img=0, seg=255)),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        datasets=[
            dict(
                type='PascalVOCDataset',
                data_root=data_root,
                data_prefix=dict(img_path='JPEGImages', seg_map_path=masks),
                ann_file=f'ImageSets/Segmentation/{{split}}.txt',
                pipeline=train_pipeline,
            )
            for masks, split in (('SegmentationClass', 'train'), ('SegmentationClassAug', 'aug'))
        ]
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root),
)
test_dataloader = val_dataloader
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=24, by_epoch=False)]
train_cfg = dict(max_iters=12, val_interval=12)
default_hooks = dict(logger=dict(interval=4), checkpoint=dict(interval=4))
"""


class Outcome(NamedTuple):
    """How a tool ended: its exit status and all that it wrote."""

    code: int
    output: str


def run_tool(name: str, *arguments: object) -> Outcome:
    """Run ``tools/<name>.py`` as from the command line, but in this process."""
    import torch
    from mmengine.utils import ManagerMixin

    torch.set_num_threads(1)
    # As in a fresh process: no logger, message hub or visualizer of an earlier run.
    managers = [ManagerMixin]
    for manager in managers:
        managers += manager.__subclasses__()
        manager._instance_dict.clear()
    written = io.StringIO()
    code = 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(written),
        contextlib.redirect_stderr(written),
    ):
        # mmengine formats the config at each checkpoint, which takes longer than the training.
        for module in ('yapf.yapflib.yapf_api', 'mmengine.config.config'):
            plain = f'{module}.FormatCode', lambda text, **_: (text, True)
            patch.setattr(*plain, raising=False)
        patch.setenv('LOCAL_RANK', '0')
        patch.setattr(sys, 'argv', [f'tools/{name}.py', *map(str, arguments)])
        try:
            runpy.run_path(str(ROOT / 'tools' / f'{name}.py'), run_name='__main__')
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                print(end.code)
        except Exception:
            code = 1
            traceback.print_exc()
    return Outcome(code, written.getvalue())


def truncate(path: Path) -> Path:
    """Cut off the second half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def build_model(cfg: dict) -> object:
    """Build as a segmentation config does."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import mmca.models.decode_heads  # noqa: F401  as custom_imports does

    init_default_scope('mmseg')
    return MODELS.build(cfg)


@pytest.fixture(scope='session')
def sample_voc(tmp_path_factory) -> Path:
    """The VOC2012 folder of a sample with 24 training (12 + 12) and 8 validation scenes."""
    root = tmp_path_factory.mktemp('sample')
    generate(SampleSettings(train=24, val=8, size=64), root)
    return root / 'VOCdevkit' / 'VOC2012'


@pytest.fixture(scope='session')
def tiny_config(sample_voc, tmp_path_factory) -> Path:
    """A config that trains 12 iterations on ``sample_voc``, with checkpoints at 4, 8 and 12."""
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
    work_dir = tmp_path_factory.mktemp('work') / 'trained'
    outcome = run_tool('train', tiny_config, '--work-dir', work_dir)
    assert outcome.code == 0, outcome.output
    return Run(work_dir, outcome.output)


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
