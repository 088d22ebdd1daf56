"""A class has one number in all data of a run, and in the checkpoint that is tested."""

import pytest
from mmengine.config import Config

from helpers.tools import ROOT, run_tool
from mmca.checks.class_order import class_order_problems, order_difference

ALL = ['train_dataloader', 'val_dataloader', 'test_dataloader']
CONFIGS = ROOT / 'configs'


def config(name: str, **classes) -> Config:
    """A config with ``metainfo.classes`` of the datasets of its loaders."""
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    for split, names in classes.items():
        cfg[f'{split}_dataloader'].dataset.metainfo = dict(classes=names)
    return cfg


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)
def test_the_projects_configs_agree(path):
    assert class_order_problems(Config.fromfile(path), ALL) == []


@pytest.mark.parametrize('name', ['mbv2ca_sample', 'ssdlite320_mbv2ca_coco'])
@pytest.mark.input_fault(
    'Classes',
    'classes that validation or test data list in another order than the training',
    'refused',
)
def test_another_order_is_named(name):
    names, moved = ('cat', 'dog', 'cow'), ['cat', 'cow', 'dog']
    assert class_order_problems(config(name, train=names, val=list(names), test=names), ALL) == []
    (problem,) = class_order_problems(config(name, train=names, val=moved, test=names), ALL)
    assert problem.startswith(
        "val_dataloader: class 1 is 'cow', like 1 more, which is class 2 in the train_dataloader"
    )
    cfg = config(name, train=names, val=moved)
    cfg.model.language_model = dict(type='BertModel')
    assert class_order_problems(cfg, ALL[:2]) == []
    # Other spellings of a class are nobody's fault.
    assert class_order_problems(config(name, train=names, val=('Cat', 'dog', 'cow')), ALL[:2]) == []


def test_each_dataset_of_a_wrapper_is_looked_at():
    cfg = config('deeplabv3_mbv2ca_voc')
    first, second = cfg.train_dataloader.dataset.datasets
    first.metainfo, second.metainfo = dict(classes=('a', 'b')), dict(classes=('b', 'a'))
    (problem,) = class_order_problems(cfg, ALL[:1])
    assert problem.startswith("train_dataloader: class 0 is 'b', like 1 more, which is class 1")


def test_names_that_are_there_twice_tell_nothing():
    assert order_difference(('a', 'b'), ('b', 'b', 'a')) == ''
    assert order_difference((), ('b', 'a')) == ''


@pytest.mark.slow
@pytest.mark.input_fault(
    'Classes',
    'a test whose classes are in another order than those of the checkpoint',
    'refused',
)
def test_a_checkpoint_knows_its_classes(tiny_config, trained, tmp_path):
    config = tmp_path / 'other.py'
    config.write_text(
        f'_base_ = {str(tiny_config)!r}\n'
        'from mmseg.datasets import PascalVOCDataset\n'
        "classes = PascalVOCDataset.METAINFO['classes']\n"
        'test_dataloader = dict(dataset=dict(metainfo=dict(classes=classes[::-1])))\n'
        'del PascalVOCDataset\n'
    )
    arguments = [trained.work_dir / 'iter_12.pth', '--work-dir', tmp_path / 'work']
    outcome = run_tool('test', config, *arguments)
    assert outcome.code == 1
    assert "class 0 is 'tvmonitor', like 19 more, which is class 20 in its training" in (
        outcome.output
    )
