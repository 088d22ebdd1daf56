"""A tiny config, and the tools run in this process."""

import contextlib
import io
import runpy
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

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
    dict(
        type='mmca.SegAugmentation',
        scale=(64, 64),
        ratio_range=(0.75, 2.0),
        crop_size=crop_size,
        cat_max_ratio=0.75,
        photometric=dict(),
    ),
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
    from mmengine.registry import DefaultScope
    from mmengine.utils import ManagerMixin

    torch.set_num_threads(1)
    scopes = DefaultScope._instance_dict.copy()
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
    # What follows in this process is in the scope that it was in before.
    DefaultScope._instance_dict = scopes
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
