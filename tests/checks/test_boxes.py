"""What is looked at in the annotations of a config of mmdet before it runs."""

import json
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config

from helpers.tools import ROOT
from mmca.checks.boxes import malformed_boxes
from mmca.sampledata import SampleSettings, generate

TRAIN, VAL = 'train_dataloader', 'val_dataloader'


@pytest.fixture(scope='module')
def sample(tmp_path_factory):
    root = tmp_path_factory.mktemp('boxes') / 'coco'
    generate(SampleSettings(train=14, val=7, size=64), root, 'coco')
    return root


@pytest.fixture
def data(sample, tmp_path):
    """A copy of the sample, and a function that changes the annotations of a split."""
    root = shutil.copytree(sample, tmp_path / 'data')

    def change(function, split='train'):
        path = root / f'annotations/instances_{split}2017.json'
        content = json.loads(path.read_text())
        function(content)
        path.write_text(json.dumps(content))
        return path

    return root, change


def coco_config(root: Path) -> Config:
    from mmca.engine.data_root import set_data_root

    cfg = Config.fromfile(ROOT / 'configs/ssdlite320_mbv2ca_sample.py')
    set_data_root(cfg, str(root))
    return cfg


def check(cfg, *loaders):
    return malformed_boxes(cfg, loaders or (TRAIN, VAL))


def area_0(content):
    content['annotations'][0]['area'] = 0


def test_a_whole_dataset_has_no_problems(data):
    assert check(coco_config(data[0]), TRAIN, VAL, 'test_dataloader') == []


@pytest.mark.parametrize(
    'wrap',
    [
        lambda dataset: dict(type='RepeatDataset', times=2, dataset=dataset),
        lambda dataset: dict(type='ConcatDataset', datasets=[dataset, dataset]),
        lambda dataset: dict(type='ClassBalancedDataset', oversample_thr=0.1, dataset=dataset),
        lambda dataset: dict(type='MultiImageMixDataset', dataset=dataset, pipeline=[]),
        lambda dataset: dict(
            type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[dataset])
        ),
    ],
)
def test_a_wrapped_dataset_is_checked(data, wrap):
    root, change = data
    path = change(area_0)
    cfg = coco_config(root)
    cfg.train_dataloader.dataset = wrap(cfg.train_dataloader.dataset)
    (problem,) = check(cfg)
    assert problem.startswith(f'{path}: annotation ') and 'area is 0' in problem


def own_class():
    from mmdet.datasets import CocoDataset

    class Mine(CocoDataset):
        METAINFO = CocoDataset.METAINFO

    return Mine


@pytest.mark.parametrize('kind', ['mmdet.CocoDataset', 'mmdet.datasets.coco.CocoDataset', None])
@pytest.mark.input_fault(
    'Configs',
    'types that are classes, or have a scope',
    'checked like names',
)
def test_a_type_may_be_a_class_or_any_of_its_names(data, kind):
    root, change = data
    change(area_0)
    cfg = coco_config(root)
    cfg.train_dataloader.dataset.type = kind or own_class()
    if kind is None:
        cfg.default_scope = None  # as pure-Python configs do without
    assert len(check(cfg, TRAIN)) == 1


def test_a_class_that_reads_its_own_format_is_left_alone(data):
    root, change = data
    change(area_0)
    cfg = coco_config(root)
    kind = own_class()
    kind.parse_data_info = lambda self, info: info
    cfg.train_dataloader.dataset.type = kind
    assert check(cfg, TRAIN) == []


@pytest.mark.input_fault(
    'Classes',
    '`classes` that name a file',
    'read',
)
def test_classes_may_be_a_file(data, tmp_path):
    root, change = data
    cfg = coco_config(root)
    path = tmp_path / 'classes.txt'
    classes = cfg.metainfo.classes
    path.write_text('\n'.join(classes))
    cfg.train_dataloader.dataset.metainfo = dict(classes=str(path))
    assert check(cfg, TRAIN) == []
    path.write_text('\n'.join([*classes, '', 'cat ']))
    assert check(cfg, TRAIN) == [
        f'train_dataloader: classes (from {path}) that are blank, twice, or with blanks around: '
        "'', 'cat '; correct them"
    ]
    cfg.train_dataloader.dataset.metainfo = dict(classes='cat')
    assert check(cfg, TRAIN) == [
        "train_dataloader: metainfo.classes='cat' is neither names nor a file that exists; one "
        "class is written classes=('cat',), with a comma"
    ]


@pytest.mark.parametrize(
    ('prefix', 'problem'),
    [
        ('train2017/', "wants data_prefix=dict(img='train2017/')"),
        (dict(img_path='train2017/'), "wants data_prefix=dict(img='')"),
        (None, "wants data_prefix=dict(img='')"),
    ],
)
@pytest.mark.input_fault(
    'Configs',
    '`data_prefix` as text in mmdet',
    'refused, with the spelling to use',
)
def test_a_data_prefix_that_mmdet_does_not_read_is_named(data, prefix, problem):
    cfg = coco_config(data[0])
    cfg.train_dataloader.dataset.pop('data_prefix')
    if prefix is not None:
        cfg.train_dataloader.dataset.data_prefix = prefix
    (line,) = check(cfg, TRAIN)
    assert line.startswith('train_dataloader: data_prefix=') and line.endswith(problem)


def test_all_files_have_their_first_problem_in_front(data):
    root, change = data

    def all_area_0(content):
        for item in content['annotations']:
            item['area'] = 0

    train, val = change(all_area_0), change(all_area_0, 'val')
    first, second, *_ = check(coco_config(root))
    assert first.startswith(f'{train}: ') and second.startswith(f'{val}: ')


def zero(content):
    content['annotations'][0]['id'] = 0


@pytest.mark.input_fault(
    'COCO annotations',
    'an annotation id of 0',
    'refused where it would be evaluated',
)
def test_an_annotation_id_of_0_is_refused_where_it_would_be_evaluated(data):
    root, change = data
    change(zero)
    assert check(coco_config(root)) == []
    path = change(zero, 'val')
    (problem,) = check(coco_config(root))
    assert problem.startswith(f"{path}: annotation 0: COCO's evaluation would never count")
    cfg = coco_config(root)
    cfg.val_evaluator = [dict(cfg.val_evaluator, ann_file=None)]  # numbers them itself
    assert check(cfg) == []


@pytest.mark.input_fault(
    'Metrics and pictures',
    '`ann_file` of the metric that is not that of the data',
    'refused',
)
def test_an_evaluator_of_other_images_than_the_loaders_is_named(data):
    root, change = data
    cfg = coco_config(root)
    path = root / 'annotations/instances_train2017.json'
    cfg.val_evaluator.ann_file = str(path)
    (problem,) = check(cfg, VAL)
    assert problem.startswith(f'{path}: the ann_file of val_evaluator ')
    assert problem.endswith('that the val_dataloader has not: give both the same file')


@pytest.mark.input_fault(
    'COCO annotations',
    'several files of one validation or test whose images have the same ids',
    'refused',
)
def test_images_that_are_measured_have_ids_of_their_own(data):
    cfg = coco_config(data[0])
    part = cfg.val_dataloader.dataset
    cfg.val_dataloader.dataset = dict(type='ConcatDataset', datasets=[part, {**part}])
    (problem,) = check(cfg)
    assert problem.startswith('val_dataloader: 7 image ids, such as ')
    cfg.val_evaluator = dict(type='VOCMetric')
    assert check(cfg) == []


@pytest.mark.parametrize(('loader', 'purpose'), [(TRAIN, 'learn'), (VAL, 'measure')])
@pytest.mark.parametrize(
    ('change', 'found'),
    [
        (lambda content: content.update(annotations=[]), '0 boxes'),
        (lambda content: [a.update(iscrowd=1) for a in content['annotations']], 'crowd'),
        (
            lambda content: [
                a.update(bbox=[value / 64 for value in a['bbox']]) for a in content['annotations']
            ],
            'smaller than a pixel',
        ),
    ],
)
@pytest.mark.input_fault(
    'Nothing to learn',
    'data in which no box counts',
    'refused, once',
)
def test_nothing_to_learn_or_measure_is_said_once(data, loader, purpose, change, found):
    root, edit = data
    path = edit(change, loader.removesuffix('_dataloader'))
    (problem,) = check(coco_config(root))
    assert problem.startswith(
        f'{path}: nothing to {purpose}: the {loader} has no box that counts ('
    )
    assert found in problem


def test_a_part_without_objects_beside_one_with_them_is_legal(data):
    root, change = data
    path = change(lambda content: content.update(annotations=[]))
    cfg = coco_config(root)
    dataset = cfg.train_dataloader.dataset
    other = dict(dataset, ann_file='annotations/instances_val2017.json')
    other['data_prefix'] = dict(img='val2017/')
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[dataset, other])
    assert path.exists() and check(cfg, TRAIN) == []


@pytest.mark.input_fault(
    'Nothing to learn',
    'images all below `filter_cfg.min_size`',
    'refused, once',
)
def test_images_below_the_configs_least_size_teach_nothing(data):
    cfg = coco_config(data[0])
    cfg.train_dataloader.dataset.filter_cfg = dict(min_size=65)
    (problem,) = check(cfg)
    assert 'nothing to learn' in problem


def test_a_test_set_without_annotations_can_be_predicted(data):
    root, change = data
    change(lambda content: content.pop('annotations'), 'val')
    cfg = coco_config(root)
    (problem,) = check(cfg, 'test_dataloader')
    assert 'nothing to measure' in problem
    cfg.test_evaluator.update(format_only=True, outfile_prefix='x', ann_file=None)
    assert check(cfg, 'test_dataloader') == []


def test_other_libraries_and_remote_data_are_left_alone(data):
    cfg = Config.fromfile(ROOT / 'configs/deeplabv3_mbv2ca_sample.py')
    assert check(cfg) == []
    cfg = coco_config(data[0])
    cfg.train_dataloader.dataset.update(data_root='s3://nowhere', backend_args=dict(backend='x'))
    assert check(cfg, TRAIN) == []


@pytest.mark.input_fault(
    'Images', 'damaged images of a detector, also of its validation', 'refused before the training'
)
def test_images_that_will_not_load_are_named_before_the_run(data):
    root, _ = data
    cfg = coco_config(root)
    first, second = sorted((root / 'val2017').iterdir())[:2]
    first.write_text('a web page')
    second.write_bytes(b'')
    problems = check(cfg)
    assert len(problems) == 2
    assert f'{first}: cannot be decoded (no image that Pillow knows' in problems[0]
    assert f'{second}: cannot be decoded (empty, 0 bytes)' in problems[1]
    # Another loader may know more formats.
    cfg.val_dataloader.dataset.pipeline[0].imdecode_backend = 'tifffile'
    assert check(cfg) == []
