"""``~`` and environment variables in paths, of configs and on the command line."""

import argparse

import pytest
from mmengine.config import Config

from mmca.engine.config import read_config
from mmca.engine.expansion import expand_paths, expanded
from mmca.errors import UserError

CONFIG = """\
model = dict(
    type='ImageClassifier',
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='~/a.pth')),
    neck=dict(pretrained='$PLACE/b.pth'),
)
load_from = '${PLACE}/c.pth'
work_dir = '~/runs'
train_dataloader = dict(
    dataset=dict(
        type='CustomDataset',
        data_root='~/data',
        data_prefix=dict(img_path='$PLACE/images', other='~/x'),
        ann_file='~/list.txt',
        classes='~/classes.txt',
        metainfo=dict(classes=('~cat', '$dog')),
    )
)
note = '~ and $PLACE stay in what is no path'
val_evaluator = [dict(type='CocoMetric', ann_file='$PLACE/val.json')]
"""


@pytest.fixture
def places(monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    monkeypatch.setenv('PLACE', '/disk')
    monkeypatch.delenv('NOT_SET', raising=False)


@pytest.mark.input_fault(
    'Data folder', '`~`, `$NAME` or `${NAME}` in paths of a config or the command line', 'expanded'
)
def test_paths_of_a_config_and_of_the_command_line(places, tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(CONFIG)
    given = dict(data_root=None, work_dir=None, launcher='none', local_rank=0, cfg_options={})
    cfg = read_config(argparse.Namespace(config=str(path), **given))
    dataset = cfg.train_dataloader.dataset
    assert dataset.data_root == '/home/me/data'
    assert dataset.data_prefix == dict(img_path='/disk/images', other='/home/me/x')
    assert dataset.ann_file == '/home/me/list.txt' and dataset.classes == '/home/me/classes.txt'
    assert dataset.metainfo.classes == ('~cat', '$dog')
    assert cfg.model.backbone.init_cfg.checkpoint == '/home/me/a.pth'
    assert cfg.model.neck.pretrained == '/disk/b.pth'
    assert (cfg.load_from, cfg.work_dir) == ('/disk/c.pth', '/home/me/runs')
    assert cfg.val_evaluator[0].ann_file == '/disk/val.json'
    assert cfg.note.startswith('~ and $PLACE')

    given.update(data_root='$PLACE/new', work_dir='~/w', cfg_options={'load_from': '~/d.pth'})
    args = argparse.Namespace(config=str(path), checkpoint='~/e.pth', out='$PLACE/f.json', **given)
    cfg = read_config(args)
    assert cfg.train_dataloader.dataset.data_root == '/disk/new'
    assert (cfg.work_dir, cfg.load_from) == ('/home/me/w', '/home/me/d.pth')
    assert (args.checkpoint, args.out) == ('/home/me/e.pth', '/disk/f.json')


@pytest.mark.input_fault(
    'Data folder', 'a path that begins with a variable that is not set', 'refused, with its name'
)
def test_a_variable_that_is_not_set(places):
    cfg = Config(dict(train_dataloader=dict(dataset=dict(data_root='$NOT_SET/data'))))
    with pytest.raises(UserError) as error:
        expand_paths(dict(train_dataloader=cfg.train_dataloader))
    assert str(error.value) == (
        'train_dataloader.dataset.data_root=$NOT_SET/data: the environment variable NOT_SET is '
        'not set; set it, or write the folder itself'
    )


def test_addresses_and_other_texts_stay(places):
    for text in ('http://x/~me/$PLACE', 's3://$PLACE', 'a~b', '/disk/a$', 'price$5'):
        assert expanded(text) == text
