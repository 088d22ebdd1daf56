"""The classes of heads are those of the data; both settings are named before anything is built."""

import json

import pytest
from mmengine.config import Config

from helpers.tools import ROOT
from mmca.checks.class_numbers import class_number_problems
from mmca.checks.run import check_input
from mmca.errors import UserError

ALL = ['train_dataloader', 'val_dataloader', 'test_dataloader']
CONFIGS = ROOT / 'configs'


def config(name: str, **options) -> Config:
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    cfg.merge_from_dict(options)
    return cfg


def set_classes(cfg: Config, names: object, loaders: list[str] = ALL) -> Config:
    for loader in loaders:
        cfg[loader].dataset.metainfo = dict(classes=names)
    return cfg


def only_problem(cfg: Config, loaders: list[str] = ALL) -> str:
    (problem,) = class_number_problems(cfg, loaders)
    return problem


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)
def test_the_projects_configs_agree(path):
    assert class_number_problems(Config.fromfile(path), ALL) == []


@pytest.mark.parametrize('outputs', [1, 20])
@pytest.mark.input_fault(
    'Classes',
    'a detection head of another number of classes than the data',
    'refused, both settings named',
)
def test_detection_head(outputs):
    cfg = config('ssdlite320_mbv2ca_sample', **{'model.bbox_head.num_classes': outputs})
    problem = only_problem(set_classes(cfg, ('cat', 'dog')))
    assert problem.startswith(
        f'model.bbox_head.num_classes={outputs}, but the data of train_dataloader, '
        'val_dataloader, test_dataloader has 2 classes (cat, dog in metainfo)'
    )
    assert '--cfg-options model.bbox_head.num_classes=2' in problem


def test_heads_of_two_stages_and_lists_but_not_the_proposals():
    head = dict(type='Shared2FCBBoxHead', num_classes=80)
    cfg = config('ssdlite320_mbv2ca_coco')
    cfg.model = dict(
        type='CascadeRCNN',
        rpn_head=dict(type='RPNHead', num_classes=1),
        roi_head=dict(
            type='CascadeRoIHead',
            bbox_head=[head, dict(head, num_classes=3)],
            mask_head=dict(type='FCNMaskHead', num_classes=5),
        ),
    )
    problems = class_number_problems(cfg, ALL)
    assert [problem.partition(',')[0] for problem in problems] == [
        'model.roi_head.bbox_head.1.num_classes=3',
        'model.roi_head.mask_head.num_classes=5',
    ]
    # What mmdet takes if the config is silent.
    cfg = set_classes(config('ssdlite320_mbv2ca_coco'), ('cat',))
    cfg.model.bbox_head.pop('num_classes')
    assert 'model.bbox_head.num_classes=80, but' in only_problem(cfg)
    assert 'has 1 class (cat in metainfo)' in only_problem(cfg)


@pytest.mark.input_fault(
    'Classes',
    'a segmentation head, or an auxiliary one, of another number',
    'refused, both settings named',
)
def test_segmentation_heads():
    cfg = config('deeplabv3_mbv2ca_voc')
    for dataset in cfg.train_dataloader.dataset.datasets:
        dataset.type, dataset.metainfo = 'BaseSegDataset', dict(classes=('a', 'b', 'c'))
    cfg.model.auxiliary_head = [dict(type='FCNHead', num_classes=19)]
    problems = class_number_problems(cfg, ['train_dataloader'])
    assert [problem.partition(',')[0] for problem in problems] == [
        'model.decode_head.num_classes=21',
        'model.auxiliary_head.0.num_classes=19',
    ]
    assert 'train_dataloader has 3 classes (a, b, c in metainfo)' in problems[0]
    # Of the dataset's class.
    cfg.model.decode_head.num_classes = 3
    cfg.model.pop('auxiliary_head')
    assert 'val_dataloader has 21 classes (background, aeroplane, ' in only_problem(
        cfg, ['val_dataloader']
    )


@pytest.mark.parametrize(
    'outputs, sigmoid, fits',
    [
        (dict(num_classes=1), True, True),
        (dict(num_classes=1), False, False),
        (dict(num_classes=2, out_channels=1), True, True),
        (dict(num_classes=2), False, True),
    ],
)
@pytest.mark.input_fault(
    'Classes',
    'one output for two classes',
    'read, where the loss is a sigmoid',
)
def test_two_classes_may_have_one_output(outputs, sigmoid, fits):
    cfg = set_classes(config('deeplabv3_mbv2ca_voc'), ('no', 'yes'), ['val_dataloader'])
    cfg.val_dataloader.dataset.type = 'BaseSegDataset'
    cfg.model.decode_head.update(outputs)
    cfg.model.decode_head.loss_decode.use_sigmoid = sigmoid
    assert bool(class_number_problems(cfg, ['val_dataloader'])) is not fits


@pytest.mark.input_fault(
    'Classes',
    'a classifier of another number of classes than folders, lists or names',
    'refused, both settings named',
)
def test_classifiers_by_folders_lists_files_and_names(tmp_path):
    for name in ('ant', 'bee', 'cow'):
        (tmp_path / 'train' / name).mkdir(parents=True)
    cfg = config('mbv2ca_imagenet')
    folders = dict(type='CustomDataset', data_root=str(tmp_path), data_prefix='train')
    cfg.train_dataloader.dataset = folders
    problem = only_problem(cfg, ['train_dataloader'])
    assert problem.startswith('model.head.num_classes=1000, but the data of train_dataloader has 3')
    assert f'the folders ant, bee, cow in {tmp_path}/train' in problem

    (tmp_path / 'train.txt').write_text('a.jpg 0\nb c.jpg 2\n')
    cfg.train_dataloader.dataset.ann_file = 'train.txt'
    assert f'3 classes (the labels in {tmp_path}/train.txt)' in only_problem(
        cfg, ['train_dataloader']
    )

    names = tmp_path / 'classes.txt'
    names.write_text('ant\nbee\n')
    cfg.train_dataloader.dataset.classes = str(names)
    assert f'2 classes (ant, bee in {names})' in only_problem(cfg, ['train_dataloader'])
    cfg.train_dataloader.dataset.pop('classes')
    cfg.train_dataloader.dataset.metainfo = dict(classes=str(names))
    assert f'2 classes (ant, bee in {names})' in only_problem(cfg, ['train_dataloader'])
    cfg.model.head.num_classes = 2
    assert class_number_problems(cfg, ['train_dataloader']) == []


def test_several_labels_an_image(tmp_path):
    content = dict(metainfo=dict(classes=['red', 'round']), data_list=[])
    (tmp_path / 'train.json').write_text(json.dumps(content))
    cfg = config('mbv2ca_imagenet')
    cfg.model.head.type = 'MultiLabelLinearClsHead'
    dataset = dict(type='MultiLabelDataset', data_root=str(tmp_path), ann_file='train.json')
    cfg.train_dataloader.dataset = dataset
    problem = only_problem(cfg, ['train_dataloader'])
    assert f'has 2 classes (red, round in {tmp_path}/train.json)' in problem


def test_types_may_be_classes_or_have_a_scope():
    from mmdet.datasets import CocoDataset

    for kind in (CocoDataset, 'mmdet.CocoDataset', 'mmdet.datasets.coco.CocoDataset'):
        cfg = config('ssdlite320_mbv2ca_coco', **{'model.bbox_head.num_classes': 3})
        cfg.train_dataloader.dataset.type = kind
        assert 'has 80 classes (person, ' in only_problem(cfg, ['train_dataloader'])


@pytest.mark.input_fault(
    'Classes',
    "`classes='cat'`, which is no file",
    'not taken for three classes of a letter',
)
def test_a_single_name_that_is_no_file_is_not_taken_for_letters():
    cfg = set_classes(config('ssdlite320_mbv2ca_coco'), 'cat', ['val_dataloader'])
    problem, *_ = class_number_problems(cfg, ['val_dataloader'])
    assert "metainfo.classes='cat' is neither names nor a file that exists" in problem
    assert "classes=('cat',), with a comma" in problem
    cfg = set_classes(cfg, str(CONFIGS), ['val_dataloader'])
    assert 'is no file that exists' in class_number_problems(cfg, ['val_dataloader'])[0]


def test_it_is_told_with_other_problems_though_the_data_is_missing(tmp_path):
    from mmca.engine.data_root import set_data_root

    cfg = config('ssdlite320_mbv2ca_coco', **{'model.bbox_head.num_classes': 3})
    set_data_root(cfg, str(tmp_path / 'none'))
    with pytest.raises(UserError) as error:
        check_input(cfg, ['train_dataloader'])
    assert '2 problem(s) before the run starts:' in str(error.value)
    assert 'model.bbox_head.num_classes=3' in str(error.value)
    assert f'{tmp_path}/none' in str(error.value)
    assert 'checks.class_numbers=False' in str(error.value)
