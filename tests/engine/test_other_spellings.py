"""Types that are classes, or have a scope, are treated as bare names are."""

import pytest
from mmengine.config import Config, ConfigDict

from helpers.libraries import write_classification_config
from helpers.tools import ROOT, run_tool
from mmca.config_walk import library_of, type_name
from mmca.engine.here import as_run_here

PURE = """\
from mmcv.transforms import LoadImageFromFile, Resize
from mmengine.dataset import DefaultSampler
from mmengine.hooks import CheckpointHook
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from mmpretrain.datasets import CustomDataset, PackInputs
from mmpretrain.evaluation import Accuracy
from mmpretrain.models import GlobalAveragePooling, ImageClassifier, LinearClsHead
from torch.optim import SGD

from mmca.models import CoordinateAttention, MobileNetV2

default_scope = 'mmpretrain'
model = dict(
    type=ImageClassifier,
    backbone=dict(
        type=MobileNetV2, attention=dict(type=CoordinateAttention), widen_factor=0.25
    ),
    neck=dict(type=GlobalAveragePooling),
    head=dict(type=LinearClsHead, num_classes={classes}, in_channels=1280, topk=(1,)),
)
data_preprocessor = dict(num_classes=2, mean=[124, 116, 104], std=[58, 57, 57], to_rgb=True)
pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(32, 32)),
    dict(type=PackInputs),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=True),
    # As text, which mmpretrain reads as img_path.
    dataset=dict(
        type=CustomDataset, data_root={root!r}, data_prefix='images', pipeline=pipeline
    ),
)
val_dataloader = train_dataloader
test_dataloader = train_dataloader
val_evaluator = dict(type=Accuracy, topk=(1,))
test_evaluator = val_evaluator
optim_wrapper = dict(type=AmpOptimWrapper, optimizer=dict(type=SGD, lr=0.01), loss_scale='dynamic')
default_hooks = dict(checkpoint=dict(type=CheckpointHook, save_best={best!r}))
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=1)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
"""


def write_pure_config(folder, classes: int = 2, best: str = 'accuracy/top1'):
    write_classification_config(folder)  # and its images
    path = folder / 'pure.py'
    path.write_text(PURE.format(root=str(folder), classes=classes, best=best))
    return path


def test_names_of_types():
    from mmcv.transforms import LoadImageFromFile

    for kind, library in (
        ('LoadImageFromFile', ''),
        ('mmcv.LoadImageFromFile', 'mmcv'),
        ('mmcv.transforms.loading.LoadImageFromFile', 'mmcv'),
        (LoadImageFromFile, 'mmcv'),
    ):
        assert type_name(dict(type=kind)) == 'LoadImageFromFile'
        assert library_of(dict(type=kind)) == library
    assert type_name({}) == library_of({}) == ''


@pytest.mark.parametrize('scope', ['', 'mmdet.', 'mmcv.', 'class'])
def test_images_are_loaded_by_ours_whatever_the_spelling(scope):
    from mmcv.transforms import LoadImageFromFile

    cfg = Config.fromfile(ROOT / 'configs/deeplabv3_mbv2ca_voc.py')
    cfg.launcher = 'none'
    kind = LoadImageFromFile if scope == 'class' else f'{scope}LoadImageFromFile'
    cfg.val_dataloader.dataset.pipeline[0] = ConfigDict(type=kind)
    here = as_run_here(cfg).val_dataloader.dataset.pipeline[0]
    assert here == dict(type='mmca.LoadImageFromFile', imdecode_backend='cv2')
    # Somebody else's stays.
    cfg.val_dataloader.dataset.pipeline[0] = ConfigDict(type='mine.LoadImageFromFile')
    here = as_run_here(cfg).val_dataloader.dataset.pipeline[0]
    assert here.type == 'mine.LoadImageFromFile'


def test_masks_are_loaded_by_ours_whatever_the_spelling():
    from mmseg.datasets.transforms import LoadAnnotations

    cfg = Config.fromfile(ROOT / 'configs/deeplabv3_mbv2ca_voc.py')
    cfg.launcher = 'none'
    for kind in ('LoadAnnotations', 'mmseg.LoadAnnotations', LoadAnnotations):
        cfg.val_dataloader.dataset.pipeline = [ConfigDict(type=kind)]
        (here,) = as_run_here(cfg).val_dataloader.dataset.pipeline
        assert here == dict(type='mmca.LoadSegAnnotations', num_classes=21, ignore_index=255)


@pytest.mark.input_fault(
    'Configs',
    'AMP of a pure-Python config without a GPU',
    'trains in float32, and says so',
)
def test_a_pure_python_config_trains_without_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    outcome = run_tool('train', write_pure_config(tmp_path), '--work-dir', tmp_path / 'work')
    assert outcome.code == 0, outcome.output
    assert 'No GPU found: precision is float32 (no AMP: ' in outcome.output
    assert (tmp_path / 'work/epoch_1.pth').is_file()


@pytest.mark.input_fault(
    'Configs',
    'a pure-Python config, its types classes',
    'checked like any',
)
def test_a_pure_python_config_is_checked(tmp_path):
    config = write_pure_config(tmp_path, classes=5, best='top1')
    outcome = run_tool('train', config, '--work-dir', tmp_path / 'work')
    assert outcome.code == 1
    assert 'Error: 2 problem(s) before the run starts:' in outcome.output
    assert 'model.head.num_classes=5, but the data of train_dataloader, val_dataloader has 2' in (
        outcome.output
    )
    assert "save_best='top1' is not among what val_evaluator gives, accuracy/top1" in outcome.output
