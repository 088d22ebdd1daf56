"""What a run waits for is what its evaluator gives, and that can be computed."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from helpers.tools import ROOT
from mmca.checks.metrics import evaluator_metrics, metric_problems

CONFIGS = ROOT / 'configs'
TRAIN = ['train_dataloader', 'val_dataloader']
COCO = [f'coco/bbox_{item}' for item in ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')]


def config(name: str, save_best: object = None, **options) -> Config:
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    for option, value in options.items():
        cfg[option] = value
    cfg.default_hooks.checkpoint.save_best = save_best
    return cfg


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)
def test_the_projects_configs_have_no_problem(path):
    assert metric_problems(Config.fromfile(path), [*TRAIN, 'test_dataloader']) == []


@pytest.mark.parametrize(
    'name, metric',
    [
        ('deeplabv3_mbv2ca_voc', dict(type='IoUMetric', iou_metrics=['mIoU', 'mDice', 'mFscore'])),
        ('deeplabv3_mbv2ca_voc', dict(type='mmseg.IoUMetric', prefix='seg')),
    ],
)
def test_names_of_segmentation(name, metric):
    from mmseg.evaluation import IoUMetric

    cfg = config(name, val_evaluator=metric)
    metric = IoUMetric(**{key: metric[key] for key in metric if key != 'type'})
    metric.dataset_meta = dict(classes=('a', 'b'))
    metric.results = [tuple(torch.ones(2) for _ in range(4))]
    assert evaluator_metrics(cfg, 'val_evaluator') == list(metric.evaluate(1))


@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(iou_thrs=[0.5, 0.75]),
        dict(metric='recall', iou_thrs=[0.5, 0.75], proposal_nums=(10, 20)),
    ],
)
def test_names_of_voc_detection(options):
    from mmca.evaluation import VOCMetric

    boxes = np.array([[0.0, 0, 9, 9]])
    truth = dict(bboxes=boxes, labels=np.array([0]), bboxes_ignore=boxes[:0])
    truth['labels_ignore'] = np.array([], int)
    metric = VOCMetric(**options)
    metric.dataset_meta = dict(classes=('a',))
    metric.results = [(truth, [np.array([[0, 0, 9, 9, 0.9]])])]
    cfg = config('ssdlite320_mbv2ca_voc', val_evaluator=dict(type=VOCMetric, **options))
    assert evaluator_metrics(cfg, 'val_evaluator') == list(metric.evaluate(1))


@pytest.mark.parametrize('options', [{}, dict(classwise=True), dict(metric=['proposal', 'bbox'])])
def test_names_of_coco_detection(options, tmp_path):
    from mmdet.evaluation import CocoMetric

    from mmca.sampledata import SampleSettings, generate

    generate(SampleSettings(train=14, val=7, size=64), tmp_path, 'coco')
    cfg = config('ssdlite320_mbv2ca_sample')
    options['ann_file'] = str(tmp_path / 'annotations/instances_val2017.json')
    cfg.val_evaluator = dict(type=CocoMetric, **options)
    metric = CocoMetric(**options)
    metric.dataset_meta = dict(classes=cfg.metainfo.classes)
    boxes = np.array([[0.0, 0, 9, 9]])
    image = metric._coco_api.getImgIds()[0]
    prediction = dict(img_id=image, bboxes=boxes, scores=np.ones(1), labels=np.zeros(1, int))
    metric.results = [(dict(img_id=image, width=64, height=64), prediction)]
    assert evaluator_metrics(cfg, 'val_evaluator') == list(metric.evaluate(1))


@pytest.mark.parametrize(
    'metric, names',
    [
        (dict(type='Accuracy', topk=(1, 3)), ['accuracy/top1', 'accuracy/top3']),
        (dict(type='mmpretrain.Accuracy', topk=1, prefix='x'), ['x/top1']),
        (
            dict(type='SingleLabelMetric', items=('precision', 'f1-score')),
            ['single-label/precision', 'single-label/f1-score'],
        ),
        # A list of one number for each class has no best.
        (dict(type='SingleLabelMetric', items=('recall',), average=None), []),
    ],
)
def test_names_of_classification(metric, names):
    assert evaluator_metrics(config('mbv2ca_cifar10', val_evaluator=metric), 'val_evaluator') == (
        names
    )


@pytest.mark.parametrize(
    'name, best, near',
    [
        ('ssdlite320_mbv2ca_coco', 'bbox_mAP', 'coco/bbox_mAP'),
        ('ssdlite320_mbv2ca_voc', 'mAP', 'pascal_voc/mAP'),
        ('mbv2ca_imagenet', 'top1', 'accuracy/top1'),
    ],
)
def test_a_best_metric_that_lacks_its_prefix(name, best, near):
    (problem,) = metric_problems(config(name, best), TRAIN)
    assert problem.startswith(f'default_hooks.checkpoint.save_best={best!r} is not among what')
    assert problem.endswith(f'did you mean {near!r}?')


@pytest.mark.input_fault(
    'Metrics and pictures',
    '`save_best` of a metric that the evaluator does not have',
    'refused, those that it has named',
)
def test_best_metrics():
    name = 'ssdlite320_mbv2ca_coco'
    (problem,) = metric_problems(config(name, ['coco/bbox_mAP', 'mIoU']), TRAIN)
    assert problem == (
        "default_hooks.checkpoint.save_best='mIoU' is not among what val_evaluator gives, "
        f'{", ".join(COCO)}: name one of them'
    )
    for best in (None, 'auto', 'coco/bbox_mAP_50', ['coco/bbox_mAP', 'coco/bbox_mAP_s']):
        assert metric_problems(config(name, best), TRAIN) == []
    # A test saves nothing.
    assert metric_problems(config(name, 'mIoU'), ['test_dataloader']) == []


def test_a_metric_of_unknown_names_needs_a_rule():
    cfg = config('ssdlite320_mbv2ca_coco', 'foo', val_evaluator=dict(type='DumpResults'))
    cfg.default_hooks.checkpoint.rule = None
    (problem,) = metric_problems(cfg, TRAIN)
    assert "save_best='foo': Cannot infer the rule for key foo" in problem
    assert "default_hooks.checkpoint.rule='greater' or 'less'" in problem
    cfg.default_hooks.checkpoint.rule = 'less'
    assert metric_problems(cfg, TRAIN) == []


@pytest.mark.input_fault(
    'Metrics and pictures',
    'a metric that cannot be computed of the data',
    'refused',
)
def test_what_cannot_be_computed():
    cfg = config('mbv2ca_imagenet')
    cfg.model.head.num_classes = 3
    (problem,) = metric_problems(cfg, ['val_dataloader'])
    assert problem.startswith('val_evaluator: Accuracy: Top-5 accuracy is unavailable since the ')
    assert 'the number of categories is 3' in problem and '`val_evaluator`' in problem
    two = [dict(type='IoUMetric'), dict(type='IoUMetric', iou_metrics=['mFscore'])]
    (problem,) = metric_problems(config('deeplabv3_mbv2ca_voc', val_evaluator=two), TRAIN)
    assert problem.startswith('val_evaluator: two metrics give aAcc: give one of them another pre')
    several = dict(type='MultiDatasetsEvaluator', metrics=two, dataset_prefixes=['a', 'b'])
    assert metric_problems(config('deeplabv3_mbv2ca_voc', val_evaluator=several), TRAIN) == []
    wrong = dict(type='IoUMetric', iou_metrics=['IoU'])
    (problem,) = metric_problems(config('deeplabv3_mbv2ca_voc', val_evaluator=wrong), TRAIN)
    assert problem == "val_evaluator: IoUMetric: metrics ['IoU'] is not supported"
    for option, value in (('metric_items', ['mAP', 'mAP_60']), ('iou_thrs', [0.5])):
        cfg = config('ssdlite320_mbv2ca_coco')
        cfg.val_evaluator[option] = value
        (problem,) = metric_problems(cfg, TRAIN)
        assert problem.startswith(f'val_evaluator: CocoMetric: {option}')


def test_other_hooks_and_schedulers_wait_for_metrics_too():
    cfg = config(
        'deeplabv3_mbv2ca_voc',
        custom_hooks=[dict(type='EarlyStoppingHook', monitor='miou')],
        param_scheduler=[dict(type='ReduceOnPlateauLR', by_epoch=False)],
    )
    problems = metric_problems(cfg, TRAIN)
    assert [problem.partition(' is not')[0] for problem in problems] == [
        "param_scheduler.0.monitor='loss'",
        "custom_hooks.0.monitor='miou'",
    ]


@pytest.mark.input_fault(
    'Configs',
    'a hook that is text',
    'refused, with the spelling to use',
)
def test_a_hook_that_is_text_is_named():
    cfg = config('deeplabv3_mbv2ca_voc', custom_hooks=["dict(type='EMAHook')"])
    (problem,) = metric_problems(cfg, TRAIN)
    assert problem == (
        'custom_hooks.0 is "dict(type=\'EMAHook\')", no dict: write '
        "custom_hooks = [dict(type='...')]"
    )


@pytest.mark.input_fault(
    'Metrics and pictures',
    '`metric="segm"` of a model that predicts boxes alone',
    'refused',
)
def test_masks_are_measured_of_models_that_predict_them():
    cfg = config('ssdlite320_mbv2ca_sample')
    cfg.val_evaluator.metric = ['bbox', 'segm']
    assert metric_problems(cfg, TRAIN) == [
        "val_evaluator: CocoMetric: metric='segm' measures masks, and the model predicts boxes "
        "alone: metric='bbox'"
    ]
    cfg.model.mask_head = dict(type='CondInstMaskHead')
    assert metric_problems(cfg, TRAIN) == []


@pytest.mark.parametrize(
    'name, remedy',
    [
        ('ssdlite320_mbv2ca_coco', "ann_file='data/coco/annotations/instances_val2017.json'"),
        ('ssdlite320_mbv2ca_voc', "or take dict(type='mmca.VOCMetric')"),
    ],
)
@pytest.mark.input_fault(
    'Metrics and pictures',
    "COCO's metric without annotations",
    'refused, with those of the data',
)
def test_boxes_to_compare_with_are_named(name, remedy):
    cfg = config(name, val_evaluator=dict(type='CocoMetric'))
    (problem,) = metric_problems(cfg, TRAIN)
    assert 'val_evaluator: CocoMetric: without ann_file there are no boxes' in problem
    assert remedy in problem
    cfg.val_dataloader.dataset.pipeline[-1].meta_keys = ('img_id', 'instances')
    assert metric_problems(cfg, TRAIN) == []


@pytest.mark.input_fault(
    'Metrics and pictures',
    'data of mmseg that names no classes',
    'refused, with the setting',
)
def test_classes_to_count_are_named():
    cfg = config('deeplabv3_mbv2ca_voc')
    cfg.val_dataloader.dataset.type = 'BaseSegDataset'
    (problem,) = metric_problems(cfg, TRAIN)
    assert 'the data of the val_dataloader names no classes' in problem
    cfg.val_dataloader.dataset.metainfo = dict(classes=('a', 'b'))
    assert metric_problems(cfg, TRAIN) == []


@pytest.mark.input_fault(
    'Configs',
    'a classifier whose `topk`, or number of classes for mixed images, is not that of its classes',
    'refused, with the setting',
)
def test_options_of_a_classifier_that_need_the_number_of_classes():
    cfg = config('mbv2ca_sample')
    cfg.model.head.update(num_classes=3, topk=(1, 5))
    cfg.val_evaluator = dict(type='Accuracy', topk=1)
    assert metric_problems(cfg, TRAIN) == []  # nothing computes it
    cfg.model.head.cal_acc = True
    (problem,) = metric_problems(cfg, TRAIN)
    assert problem == 'model.head.topk=(1, 5): there are 3 classes; set model.head.topk=(1,)'
    cfg.model.head.topk = 1
    cfg.model.train_cfg = dict(augments=dict(type='Mixup', alpha=0.2))
    (problem,) = metric_problems(cfg, TRAIN)
    assert problem.startswith('data_preprocessor.num_classes=None, by which images are mixed')
    cfg.model.data_preprocessor.num_classes = 3
    assert metric_problems(cfg, TRAIN) == []


@pytest.mark.input_fault(
    'Configs', 'a classifier without a head', 'refused for a training, with the setting'
)
def test_a_classifier_without_a_head():
    cfg = config('mbv2ca_sample')
    cfg.model.head = None
    (problem,) = metric_problems(cfg, TRAIN)
    assert problem.startswith('model.head is not set, and a classifier learns by it')
    assert metric_problems(cfg, ['test_dataloader']) == []
