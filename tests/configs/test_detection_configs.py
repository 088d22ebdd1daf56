"""Each detection config builds; of each backbone and dataset one trains and validates."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from helpers.interruption import differing, weights_of, workers
from helpers.tools import ROOT, run_tool
from mmca.sampledata import VOC_CLASSES, SampleSettings, generate

BACKBONES = ('mbv2', 'mbv2se', 'mbv2cbam', 'mbv2ca', 'mnext', 'mnextse', 'mnextca')
CLASSES = {'coco': 80, 'voc': 20, 'bccd': 3, 'sample': 20}
CONFIGS = sorted(path.stem for path in (ROOT / 'configs').glob('ssdlite320_*.py'))
# tests/configs/test_leaves.py compares the others with these.
TRAINED = [
    'ssdlite320_mbv2ca_coco',
    'ssdlite320_mbv2ca_coco_1gpu',
    'ssdlite320_effnetb0ca_coco',
    'ssdlite320_mnextse_coco',
    'ssdlite320_mbv2se_voc',
    'ssdlite320_mnextca_voc',
    'ssdlite320_mbv2cbam_bccd',
    'ssdlite320_mnext_bccd',
    'ssdlite320_mbv2_sample',
    'ssdlite320_mnextca_sample',
]
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


@pytest.mark.parametrize('config', CONFIGS)
def test_config_builds_its_network(config):
    cfg = Config.fromfile(ROOT / f'configs/{config}.py')
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).eval()
    classes = next(n for data, n in CLASSES.items() if f'_{data}' in config)
    with torch.no_grad():
        scores, boxes = model(torch.randn(1, 3, 320, 320), mode='tensor')
    priors = model.bbox_head.prior_generator.num_base_priors
    sides = [score.shape[-1] for score in scores]
    assert sides == [20, 10, 5, 3, 2, 1]
    assert [s.shape[1:] for s in scores] == [
        (n * (classes + 1), side, side) for n, side in zip(priors, sides, strict=True)
    ]
    assert [b.shape[1] for b in boxes] == [4 * n for n in priors]


@pytest.mark.slow
@pytest.mark.parametrize('config', TRAINED)
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
