"""All checks are told at once, each can be switched off by its name."""

import json
import shutil

import pytest
from mmengine.config import Config

from helpers.tools import ROOT
from mmca.checks.run import check_input
from mmca.engine.data_root import set_data_root
from mmca.errors import UserError
from mmca.sampledata import SampleSettings, generate

LOADERS = ['train_dataloader', 'val_dataloader']


@pytest.fixture(scope='module')
def cfg(tmp_path_factory) -> Config:
    """Of a detector on a sample whose first twelve training boxes are of no class."""
    root = tmp_path_factory.mktemp('data')
    generate(SampleSettings(train=14, val=7, size=64), root, 'coco')
    path = root / 'annotations/instances_train2017.json'
    content = json.loads(path.read_text())
    for annotation in content['annotations'][:12]:
        annotation['category_id'] = 77
    path.write_text(json.dumps(content))
    cfg = Config.fromfile(ROOT / 'configs/ssdlite320_mbv2ca_sample.py')
    set_data_root(cfg, str(root))
    return cfg


def with_options(cfg: Config, **options) -> Config:
    return Config({**cfg, **options})


@pytest.mark.input_fault(
    'Any of it',
    'more than ten problems',
    'ten lines of all kinds, and a count',
)
def test_ten_problems_are_shown_and_the_rest_counted(cfg):
    with pytest.raises(UserError) as error:
        check_input(cfg, LOADERS)
    first, *lines, more, last = str(error.value).splitlines()
    assert first == '12 problem(s) before the run starts:'
    assert len(lines) == 10
    assert all('instances_train2017.json: annotation ' in line for line in lines)
    assert more == '  ... and 2 more'
    assert last == 'To run all the same: --cfg-options checks.boxes=False'


@pytest.mark.parametrize(
    'options',
    [dict(checks=dict(boxes=False)), dict(checks=False), dict(check_annotations=False)],
    ids=['by name', 'all', 'by its former name'],
)
@pytest.mark.input_fault(
    'Any of it',
    'a check that is not wanted',
    'switched off by its name',
)
def test_a_check_can_be_switched_off(cfg, options):
    check_input(with_options(cfg, **options), LOADERS)


def test_only_what_the_run_uses_is_looked_at(cfg):
    check_input(cfg, ['val_dataloader'])


def test_one_process_of_several_checks(cfg, monkeypatch):
    monkeypatch.setenv('RANK', '1')
    check_input(cfg, LOADERS)
    monkeypatch.setenv('RANK', '0')
    with pytest.raises(UserError):
        check_input(cfg, LOADERS)


def test_a_misspelt_check_is_named(cfg):
    with pytest.raises(UserError, match='checks.boxs: no such check; there are loops, '):
        check_input(with_options(cfg, checks=dict(boxs=False)), LOADERS)


def test_everything_that_is_missing_is_named_at_once(sample_voc, tiny_config, tmp_path):
    root = shutil.copytree(sample_voc, tmp_path / 'VOC2012')
    gone = [root / 'ImageSets/Segmentation/val.txt', root / 'SegmentationClassAug']
    gone[0].unlink()
    shutil.rmtree(gone[1])
    cfg = Config.fromfile(tiny_config)
    set_data_root(cfg, str(root))
    with pytest.raises(UserError) as error:
        check_input(cfg, LOADERS)
    message = str(error.value)
    assert message.startswith('2 problem(s) before')
    for loader, path in (('val', gone[0]), ('train', gone[1])):
        assert f'the {loader}_dataloader of this config wants {path}, which does not' in message
    assert message.count('with --data-root DIR') == 2
