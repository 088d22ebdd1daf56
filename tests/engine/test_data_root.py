"""--data-root moves every path of the data that lies below the config's root."""

import json
import os
import shutil

import pytest
from mmengine.config import Config

from helpers.tools import ROOT
from mmca.engine.data_root import set_data_root
from mmca.errors import UserError
from mmca.sampledata import SampleSettings, generate

ANNOTATIONS = 'annotations/instances_val2017.json'


def detection(root: str, **options) -> Config:
    """What matters of a config of mmdet whose root is spelled ``root``, joined as configs do."""
    dataset = dict(
        type='CocoDataset',
        data_root=root,
        ann_file=ANNOTATIONS,
        data_prefix=dict(img='val2017/'),
        pipeline=[dict(type='LoadImageFromFile', backend_args=None)],
    )
    metric = dict(type='CocoMetric', ann_file=os.path.join(root, ANNOTATIONS), metric='bbox')
    loader = dict(dataset=dataset)
    cfg = dict(data_root=root, train_dataloader=loader, val_dataloader=loader)
    return Config({**cfg, 'val_evaluator': metric, 'test_evaluator': None, **options})


@pytest.mark.parametrize(
    'root', ['data/coco', 'data/coco/', './data/coco', 'data//coco/', 'data/x/../coco']
)
@pytest.mark.parametrize('absolute', [False, True])
@pytest.mark.input_fault(
    'Data folder',
    'a root that ends in a slash, or is spelt otherwise',
    'every path below it moves, those of metrics too',
)
def test_metrics_follow_a_root_of_any_spelling(root, absolute):
    cfg = detection(root)
    if absolute:
        cfg.val_evaluator.ann_file = os.path.abspath(cfg.val_evaluator.ann_file)
    set_data_root(cfg, '/fast/coco')
    assert cfg.val_evaluator.ann_file == f'/fast/coco/{ANNOTATIONS}'
    assert cfg.val_dataloader.dataset.data_root == cfg.data_root == '/fast/coco'
    # Below the dataset's root already.
    assert cfg.val_dataloader.dataset.ann_file == ANNOTATIONS
    assert cfg.val_dataloader.dataset.data_prefix.img == 'val2017/'


@pytest.mark.input_fault(
    'Data folder',
    'paths outside the old root',
    'stay',
)
def test_only_what_lies_below_the_root_moves():
    metrics = [
        dict(type='CocoMetric', ann_file='data/coco2/x.json'),  # not below data/coco
        dict(type='CocoMetric', ann_file=None),
        dict(type='CocoMetric', ann_file='s3://bucket/data/coco/x.json'),
        dict(type='CityScapesMetric', seg_prefix='data/coco/masks/', outfile_prefix='out/x'),
        dict(type='CocoMetric', files=('data/coco/a.json', 'data/coco/b.json')),
    ]
    cfg = detection('data/coco', val_evaluator=metrics)
    set_data_root(cfg, 'new/')
    paths, urls = cfg.val_evaluator[0], cfg.val_evaluator[2]
    assert paths.ann_file == 'data/coco2/x.json'
    assert cfg.val_evaluator[1].ann_file is None
    assert urls.ann_file == 's3://bucket/data/coco/x.json'
    assert cfg.val_evaluator[3].seg_prefix == 'new/masks/'
    assert cfg.val_evaluator[3].outfile_prefix == 'out/x'
    assert cfg.val_evaluator[4].files == ('new/a.json', 'new/b.json')


def test_an_evaluator_with_metrics_of_its_own_and_pipelines_follow():
    evaluator = dict(
        type='MultiDatasetsEvaluator', metrics=[dict(type='CocoMetric', ann_file='d/a.json')]
    )
    pipeline = [dict(type='TestTimeAug', transforms=[[dict(type='X', file='d/p.pkl')]])]
    cfg = detection('d', val_evaluator=evaluator, tta_pipeline=pipeline)
    cfg.train_dataloader.dataset.metainfo = dict(classes='d/classes.txt')
    set_data_root(cfg, 'e')
    assert cfg.val_evaluator.metrics[0].ann_file == 'e/a.json'
    assert cfg.tta_pipeline[0].transforms[0][0].file == 'e/p.pkl'
    assert cfg.train_dataloader.dataset.metainfo.classes == 'e/classes.txt'


def test_folders_below_the_root_keep_their_names():
    def dataset(root: str) -> dict:
        return dict(type='VOCDataset', data_root=root, ann_file='x.txt')

    wrapped = dict(
        type='RepeatDataset',
        dataset=dict(
            type='ConcatDataset',
            datasets=[dataset('data/voc/VOC2007/'), dataset('./data/voc/VOC2012')],
        ),
    )
    cfg = detection('data/voc', train_dataloader=dict(dataset=wrapped))
    set_data_root(cfg, '/fast')
    roots = [leaf.data_root for leaf in cfg.train_dataloader.dataset.dataset.datasets]
    assert roots == ['/fast/VOC2007/', '/fast/VOC2012']


def test_without_a_root_of_the_config_the_datasets_common_folder_moves():
    cfg = detection('data/mine')
    cfg.data_root = 'data/coco'  # of a base config that a child's datasets no longer follow
    set_data_root(cfg, 'new')
    assert cfg.val_dataloader.dataset.data_root == 'new'
    assert cfg.val_evaluator.ann_file == f'new/{ANNOTATIONS}'

    cfg = Config(
        dict(
            train_dataloader=dict(dataset=dict(data_root='data/voc/VOC2012')),
            val_dataloader=dict(dataset=dict(data_root='data/voc/VOC2007')),
        )
    )
    set_data_root(cfg, 'new')
    assert cfg.train_dataloader.dataset.data_root == 'new/VOC2012'
    assert cfg.val_dataloader.dataset.data_root == 'new/VOC2007'

    cfg.val_dataloader.dataset.data_root = '/elsewhere'
    cfg.pop('data_root')
    with pytest.raises(UserError, match='lie in /elsewhere, new/VOC2012, which have no folder in'):
        set_data_root(cfg, 'third')


def test_datasets_without_a_root_get_one():
    cfg = detection('', val_evaluator=dict(type='CocoMetric', ann_file=ANNOTATIONS))
    set_data_root(cfg, 'new')
    assert cfg.val_dataloader.dataset.data_root == 'new'
    assert cfg.val_evaluator.ann_file == f'new/{ANNOTATIONS}'


def test_paths_move_once_though_the_new_root_lies_below_the_old_one():
    cfg = detection('data')
    shared = cfg.val_evaluator
    cfg._cfg_dict['test_evaluator'] = shared
    set_data_root(cfg, 'data/new')
    assert cfg.test_evaluator.ann_file == f'data/new/{ANNOTATIONS}'


@pytest.mark.parametrize('option', ['flag', 'cfg-options'])
def test_the_evaluator_reads_the_new_annotations(option, tmp_path):
    """The old ones are there, too, and have no boxes: they would give another result."""
    import argparse

    from mmdet.evaluation import CocoMetric

    from mmca.engine.config import read_config

    new = tmp_path / 'new'
    generate(SampleSettings(train=14, val=7, size=64), new, 'coco')
    old = shutil.copytree(new, tmp_path / 'old')
    content = json.loads((old / ANNOTATIONS).read_text())
    content['annotations'] = []
    (old / ANNOTATIONS).write_text(json.dumps(content))
    config = tmp_path / 'config.py'
    base = ROOT / 'configs/ssdlite320_mbv2ca_sample.py'
    config.write_text(
        f'_base_ = {str(base)!r}\n'
        f'data_root = {str(old) + "/"!r}\n'
        'train_dataloader = dict(dataset=dict(data_root=data_root))\n'
        'val_dataloader = dict(dataset=dict(data_root=data_root))\n'
        'test_dataloader = val_dataloader\n'
        f"val_evaluator = dict(ann_file=data_root + '{ANNOTATIONS}')\n"
        'test_evaluator = val_evaluator\n'
    )
    args = argparse.Namespace(
        config=str(config),
        data_root=str(new) if option == 'flag' else None,
        cfg_options={} if option == 'flag' else dict(data_root=str(new)),
        local_rank=0,
        launcher='none',
        work_dir=None,
    )
    evaluator = read_config(args).test_evaluator
    evaluator.pop('type')
    metric = CocoMetric(**evaluator)
    assert len(metric._coco_api.anns) > 0
