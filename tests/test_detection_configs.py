"""Each detection config builds, trains an iteration and validates a batch on the sample."""

import json
from pathlib import Path

import pytest
from conftest import ROOT, run_tool
from interruption import differing, weights_of, workers
from mmengine.config import Config

from mmca.sampledata import VOC_CLASSES, SampleSettings, generate

BACKBONES = ('mbv2', 'mbv2se', 'mbv2cbam', 'mbv2ca', 'mnext', 'mnextse', 'mnextca')
CONFIGS = sorted(path.stem for path in (ROOT / 'configs').glob('ssdlite320_*.py'))
SHORT = (
    'train_cfg.max_iters=1',
    'train_cfg.val_interval=1',
    'train_dataloader.batch_size=2',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    'val_dataloader.dataset.indices=2',
)


def test_every_promised_config_is_there():
    assert {f'ssdlite320_{name}_{data}' for name in BACKBONES for data in ('coco', 'voc')} <= {
        *CONFIGS
    }
    for name in ('mbv2', 'mbv2se', 'mbv2cbam', 'mbv2ca', 'mnext'):
        assert f'ssdlite320_{name}_bccd' in CONFIGS


@pytest.mark.parametrize('name', BACKBONES)
def test_recipes_of_the_authors(name):
    coco = Config.fromfile(ROOT / f'configs/ssdlite320_{name}_coco.py')
    assert coco.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.08, momentum=0.9, weight_decay=4e-5
    )
    assert coco.train_cfg.max_iters == 1_600_000 // 8
    assert coco.train_dataloader.batch_size * 8 == coco.auto_scale_lr.base_batch_size == 256
    assert coco.sync_bn == 'torch'
    voc = Config.fromfile(ROOT / f'configs/ssdlite320_{name}_voc.py')
    assert voc.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.004, momentum=0.9, weight_decay=5e-4
    )
    assert voc.train_cfg.max_iters == 240_000 // 4
    assert voc.train_dataloader.batch_size * 4 == voc.auto_scale_lr.base_batch_size == 96
    assert voc.sync_bn is None
    assert voc.val_evaluator.eval_mode == '11points'


def coco(root: Path) -> Path:
    """The sample with COCO's 80 categories."""
    from mmdet.datasets import CocoDataset

    generate(SampleSettings(train=14, val=7, size=64), root, 'coco')
    names = CocoDataset.METAINFO['classes']
    for path in (root / 'annotations').glob('*.json'):
        content = json.loads(path.read_text())
        content['categories'] = [dict(id=i, name=name) for i, name in enumerate(names, start=1)]
        path.write_text(json.dumps(content))
    return root


def voc(root: Path) -> Path:
    for layout in ('voc2007', 'voc2012'):
        generate(SampleSettings(train=14, val=7, size=64), root / layout, layout)
    (root / 'voc2007/VOCdevkit/VOC2012').symlink_to(root / 'voc2012/VOCdevkit/VOC2012')
    return root / 'voc2007/VOCdevkit'


def bccd(root: Path) -> Path:
    """The sample with BCCD's three classes."""
    generate(SampleSettings(train=14, val=7, size=64), root, 'voc2012')
    folder = root / 'VOCdevkit/VOC2012'
    for path in (folder / 'Annotations').glob('*.xml'):
        text = path.read_text()
        for i, name in enumerate(VOC_CLASSES):
            text = text.replace(f'>{name}<', f'>{("RBC", "WBC", "Platelets")[i % 3]}<')
        path.write_text(text)
    return folder


def sample(root: Path) -> Path:
    generate(SampleSettings(train=14, val=7, size=64), root, 'coco')
    return root


@pytest.fixture(scope='module')
def data_roots(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp('detection')
    return {make.__name__: make(root / make.__name__) for make in (coco, voc, bccd, sample)}


@pytest.mark.slow
@pytest.mark.parametrize('config', CONFIGS)
def test_recipe_trains(config, data_roots, tmp_path):
    data_root = next(root for name, root in data_roots.items() if f'_{name}' in config)
    outcome = run_tool(
        'train',
        ROOT / f'configs/{config}.py',
        '--work-dir',
        tmp_path,
        '--data-root',
        data_root,
        '--cfg-options',
        *SHORT,
    )
    assert outcome.code == 0, outcome.output
    assert (tmp_path / 'iter_1.pth').is_file()
    metric = 'pascal_voc/mAP' if config.endswith(('voc', 'bccd')) else 'coco/bbox_mAP'
    assert metric in outcome.output


@pytest.mark.slow
def test_resumed_ends_with_the_weights_of_an_uninterrupted_run(data_roots, tmp_path):
    """With all of the authors' augmentation, on VOC's two datasets in one."""

    def train(work_dir, max_iters, num_workers, *arguments):
        outcome = run_tool(
            'train',
            ROOT / 'configs/ssdlite320_mbv2_voc.py',
            '--work-dir',
            tmp_path / work_dir,
            '--data-root',
            data_roots['voc'],
            '--cfg-options',
            *SHORT,
            f'train_cfg.max_iters={max_iters}',
            'train_cfg.val_interval=100',
            'default_hooks.checkpoint.interval=2',
            *workers(num_workers),
            *arguments,
        )
        assert outcome.code == 0, outcome.output

    train('whole', 4, 0)
    train('parted', 2, 1)
    train('parted', 4, 0, '--resume')
    whole, parted = (weights_of(tmp_path / name, 'iter_4.pth') for name in ('whole', 'parted'))
    assert differing(whole, parted) == []
    assert len(differing(whole, weights_of(tmp_path / 'parted', 'iter_2.pth'))) > 200
