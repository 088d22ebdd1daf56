"""A validation on the data of the training is said, and no other is."""

import json
import shutil

import pytest
from mmengine.config import Config

from helpers.segmentation_data import LABELS, LOADERS, config, write
from helpers.tools import ROOT
from mmca.checks.run import CHECKS
from mmca.checks.shared_data import warn_of_shared_data


def warned(cfg, capsys, loaders=LOADERS) -> str:
    assert warn_of_shared_data(cfg, loaders) == []
    return capsys.readouterr().err


@pytest.mark.input_fault(
    'Nothing to learn',
    'validation annotations, lists or folders that are those of the training',
    'a warning',
)
def test_folders_of_both(root, capsys):
    write(root, LABELS)
    cfg = config(root)
    assert warned(cfg, capsys) == ''
    cfg.val_dataloader.dataset.data_prefix = dict(cfg.train_dataloader.dataset.data_prefix)
    said = warned(cfg, capsys)
    assert said.startswith(
        'Warning: the val_dataloader measures on what the train_dataloader learns: '
        f'{root}/train/images. '
    )
    assert warned(cfg, capsys, ['test_dataloader']) == ''


def test_lists_and_copies_of_annotations(root, tmp_path, capsys):
    write(root, LABELS)
    cfg = config(root, data_prefix=dict(img_path='train/images', seg_map_path='train/masks'))
    for name, names in (('train', '0'), ('val', '1')):
        (root / f'{name}.txt').write_text(names)
        cfg[f'{name}_dataloader'].dataset.ann_file = f'{name}.txt'
    assert warned(cfg, capsys) == ''
    (root / 'val.txt').write_text('0')
    assert f'{root}/val.txt, a copy of {root}/train.txt.' in warned(cfg, capsys)

    def loader(name):
        prefix = dict(img=f'{name}2017')
        return dict(dataset=dict(type='CocoDataset', data_root=str(root), data_prefix=prefix))

    cfg = Config(dict(train_dataloader=loader('train'), val_dataloader=loader('val')))
    for name in ('train', 'val'):
        (root / f'{name}.json').write_text(json.dumps(dict(of=name)))
        cfg[f'{name}_dataloader'].dataset.ann_file = f'{name}.json'
    assert warned(cfg, capsys) == ''
    # The images have been copied, too.
    shutil.copy(root / 'train.json', root / 'val.json')
    assert f'{root}/val.json, a copy of {root}/train.json.' in warned(cfg, capsys)
    assert CHECKS['shared_data'] is warn_of_shared_data


@pytest.mark.input_fault(
    'Nothing to learn',
    'lists or files of COCO that share images between training and validation',
    'a warning counts them',
)
def test_some_images_of_both(root, tmp_path, capsys):
    write(root, LABELS)
    cfg = config(root, data_prefix=dict(img_path='train/images', seg_map_path='train/masks'))
    for name, names in (('train', '0\n1\n'), ('val', '1\n2\n3\n')):
        (root / f'{name}.txt').write_text(names)
        cfg[f'{name}_dataloader'].dataset.ann_file = f'{name}.txt'
    # Other masks of the same images.
    cfg.val_dataloader.dataset.data_prefix.seg_map_path = 'val/masks'
    said = f'the val_dataloader measures on 1 of its 3 images, such as {root}/train/images/1, which'
    assert said in warned(cfg, capsys)
    cfg.val_dataloader.dataset.data_prefix.img_path = 'val/images'
    assert warned(cfg, capsys) == ''

    def loader(name, *files):
        images = [dict(id=i, file_name=file) for i, file in enumerate(files)]
        (root / f'{name}.json').write_text(json.dumps(dict(of=name, images=images)))
        options = dict(data_root=str(root), ann_file=f'{name}.json', data_prefix=dict(img='all'))
        return dict(dataset=dict(type='CocoDataset', **options))

    train = loader('train', 'a/1.jpg', '2.jpg')
    cfg = Config(dict(train_dataloader=train, val_dataloader=loader('val', 'b/1.jpg', './2.jpg')))
    assert f'1 of its 2 images, such as {root}/all/2.jpg, which' in warned(cfg, capsys)
    fold = dict(type='KFoldDataset', fold=1)
    cfg.val_dataloader.dataset = dict(dataset=dict(train['dataset']), test_mode=True, **fold)
    cfg.train_dataloader.dataset = dict(dataset=dict(train['dataset']), **fold)
    assert warned(cfg, capsys) == ''


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'configs').glob('*_sample.py')), ids=lambda p: p.stem
)
def test_the_projects_configs_measure_on_other_images(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert warned(Config.fromfile(path), capsys) == ''
