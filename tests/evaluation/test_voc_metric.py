"""Detections in the format of PASCAL VOC's development kit."""

import pytest
import torch
from mmdet.evaluation import VOCMetric as TheirVOCMetric
from mmengine.logging import MMLogger

from mmca.evaluation import VOCMetric

CLASSES = ('cat', 'dog')


def evaluate(metric, classes=CLASSES) -> dict:
    """Two images; the second detection of the first image is wrong."""
    metric.dataset_meta = dict(classes=classes, dataset_type='VOC2007')
    samples = []
    for name, boxes, scores, labels in (
        ('000004', [[10, 20, 50, 60], [0, 0, 9, 9]], [0.9, 0.4], [0, 1]),
        ('000006', [[5, 5, 25.5, 45]], [0.75], [1]),
    ):
        truth = dict(bboxes=torch.tensor(boxes[:1]), labels=torch.tensor(labels[:1]))
        found = dict(
            bboxes=torch.tensor(boxes, dtype=torch.float32),
            scores=torch.tensor(scores),
            labels=torch.tensor(labels),
        )
        ignored = dict(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        samples.append(
            dict(img_id=name, gt_instances=truth, ignored_instances=ignored, pred_instances=found)
        )
    metric.process({}, samples)
    return metric.evaluate(size=2)


def test_writes_a_file_for_each_class(tmp_path):
    prefix = tmp_path / 'results/comp4_det_test'
    evaluate(VOCMetric(outfile_prefix=str(prefix)))
    assert {path.name for path in prefix.parent.iterdir()} == {
        'comp4_det_test_cat.txt',
        'comp4_det_test_dog.txt',
    }
    cat, dog = (prefix.with_name(f'comp4_det_test_{name}.txt') for name in CLASSES)
    # Pixels count from 1.
    assert cat.read_text() == '000004 0.900000 11.000 21.000 51.000 61.000\n'
    assert dog.read_text().splitlines() == [
        '000004 0.400000 1.000 1.000 10.000 10.000',
        '000006 0.750000 6.000 6.000 26.500 46.000',
    ]


@pytest.mark.parametrize('mode', ['11points', 'area'])
def test_scores_are_mmdets(mode):
    assert evaluate(VOCMetric(eval_mode=mode)) == evaluate(TheirVOCMetric(eval_mode=mode))


@pytest.mark.input_fault(
    'Metrics and pictures',
    "own classes in VOC's layout, also more than 20",
    "the metric's table has their names",
)
def test_own_classes_in_vocs_layout_keep_their_names(capsys):
    MMLogger._instance_dict.clear()
    MMLogger.get_instance('voc', log_level='INFO')
    many = (*CLASSES, *(f'kind {number}' for number in range(20)))
    assert evaluate(VOCMetric(), many)['pascal_voc/mAP'] == evaluate(VOCMetric())['pascal_voc/mAP']
    written = ''.join(capsys.readouterr())
    assert '| kind 19 |' in written and 'aeroplane' not in written


def test_keeps_the_average_precision_of_each_class():
    metric = VOCMetric()
    metrics = evaluate(metric)
    # The dog's wrong detection scores less than its right one, the cat has a right one alone.
    assert metric.per_class == {'AP.cat': 100, 'AP.dog': 100}
    assert metrics['pascal_voc/mAP'] == 1
    few = VOCMetric(iou_thrs=[0.5, 0.9])
    few.dataset_meta = dict(classes=(*CLASSES, 'cow'), dataset_type='VOC2007')
    evaluate(few, (*CLASSES, 'cow'))
    assert list(few.per_class) == ['AP.cat', 'AP.dog', 'AP.cow'] and few.per_class['AP.cow'] == 0
