"""Files and folders of a config that do not exist, and what is said about them."""

import pytest
from mmengine.config import Config

from helpers.tools import ROOT
from mmca.checks.paths import missing_paths
from mmca.engine.data_root import set_data_root


def test_the_command_is_advised_for_the_folder_that_it_fills(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(ROOT / 'configs/ssdlite320_mbv2ca_sample.py')
    (problem,) = missing_paths(cfg, ['train_dataloader'])
    assert problem == (
        'No data: the train_dataloader of this config wants data/sample_easy_coco, which does not '
        'exist; data is no folder: get the data with `python tools/prepare_data.py sample --layout '
        'coco`, or say where it is with --data-root DIR (now: data/sample_easy_coco)'
    )
    set_data_root(cfg, 'data/mine')
    (problem,) = missing_paths(cfg, ['train_dataloader'])
    assert problem.endswith(
        'data is no folder: say where it is with --data-root DIR (now: data/mine)'
    )


@pytest.mark.input_fault(
    'Missing files',
    'a folder or list that does not exist',
    'refused, with what is there',
)
def test_what_is_there_instead_of_a_missing_file_is_said(tmp_path):
    cfg = Config.fromfile(ROOT / 'configs/ssdlite320_mbv2ca_sample.py')
    set_data_root(cfg, str(tmp_path))
    for folder in ('annotations', 'train2017', 'val2017'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'annotations/instances_train2017.JSON').touch()
    (tmp_path / 'annotations/val.json').touch()
    first, second = missing_paths(cfg, ['train_dataloader', 'val_dataloader'])
    assert (
        "instances_train2017.json, which does not exist; there is 'instances_train2017.JSON': "
        in first
    )
    assert (
        'instances_val2017.json, which does not exist; its folder holds 1 .JSON, 1 .json: '
        in second
    )


@pytest.mark.input_fault(
    'Configs',
    '`data_prefix` as text in mmpretrain',
    'read',
)
def test_a_data_prefix_may_be_text(tmp_path):
    """In mmpretrain."""
    dataset = dict(type='CustomDataset', data_root=str(tmp_path), data_prefix='train')
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    (problem,) = missing_paths(cfg, ['train_dataloader'])
    assert f'wants {tmp_path}/train, which does not exist' in problem


@pytest.mark.parametrize(
    ('kind', 'options', 'problem'),
    [
        (
            'mmseg.BaseSegDataset',
            dict(data_prefix='images'),
            "data_prefix='images': BaseSegDataset wants data_prefix=dict(img_path='images')",
        ),
        (
            'mmseg.BaseSegDataset',
            dict(data_prefix=None),
            "data_prefix=None: BaseSegDataset wants data_prefix=dict(img_path='')",
        ),
        (
            'mmseg.BaseSegDataset',
            dict(data_prefix=dict(img='images')),
            "BaseSegDataset wants data_prefix=dict(img_path='')",
        ),
        (
            'mmdet.CocoDataset',
            dict(data_prefix='images'),
            "data_prefix='images': CocoDataset wants data_prefix=dict(img='images')",
        ),
        ('mmdet.CocoDataset', {}, "CocoDataset wants data_prefix=dict(img='')"),
        (
            'mmdet.VOCDataset',
            dict(data_prefix=['a']),
            "data_prefix=['a']: VOCDataset wants data_prefix=dict(sub_data_root='')",
        ),
        (
            'mmpretrain.CustomDataset',
            dict(data_prefix=None),
            "data_prefix=None: CustomDataset wants data_prefix=dict(img_path='')",
        ),
        (
            'mmpretrain.ImageNet',
            dict(data_prefix=dict(img_path=None)),
            "ImageNet wants data_prefix=dict(img_path='')",
        ),
        (
            'mmseg.BaseSegDataset',
            dict(data_prefix=dict(img_path='images', seg_map_path=None)),
            'data_prefix of BaseSegDataset: seg_map_path=None is not the path of one: give text, '
            'or leave it out',
        ),
        (
            'mmpretrain.CustomDataset',
            dict(data_root=3),
            'data_root=3 of CustomDataset is not the path of one: give text',
        ),
        (
            'mmseg.BaseSegDataset',
            dict(ann_file=['a.txt']),
            "ann_file=['a.txt'] of BaseSegDataset is not the path of one: give text",
        ),
    ],
)
@pytest.mark.input_fault(
    'Configs',
    '`data_prefix`, `data_root` or `ann_file` that the library does not read',
    'refused, with the spelling to use',
)
def test_settings_that_the_library_does_not_read(tmp_path, kind, options, problem):
    dataset = dict(type=kind, data_root=str(tmp_path)) | options
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    (line,) = missing_paths(cfg, ['train_dataloader'])
    assert line.startswith('train_dataloader: ') and line.endswith(problem)


def test_settings_that_the_libraries_read(tmp_path):
    (tmp_path / 'images').mkdir()
    for kind, prefix in (
        ('mmseg.BaseSegDataset', dict(img_path='images/', seg_map_path=f'{tmp_path}/images')),
        ('mmdet.CocoDataset', dict(img='images/')),
        ('mmpretrain.CustomDataset', f'{tmp_path}/images/'),
        ('mmpretrain.CustomDataset', dict(img_path='images')),
    ):
        dataset = dict(type=kind, data_root=str(tmp_path), data_prefix=prefix)
        cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
        assert missing_paths(cfg, ['train_dataloader']) == []
