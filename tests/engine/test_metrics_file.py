"""--out writes whatever a metric is, and says before the test if it cannot."""

import json

import numpy as np
import pytest
import torch

from helpers.tools import run_tool
from mmca.engine.options import check_out, write_metrics
from mmca.errors import UserError


@pytest.mark.input_fault(
    'Metrics and pictures',
    '`--out` of metrics that are lists, NaN or nested',
    'written as JSON',
)
def test_metrics_of_every_kind(tmp_path):
    out = tmp_path / 'new' / 'metrics.json'
    write_metrics(
        {
            'float': 0.123456,
            'numpy': np.float32(0.5),
            'int': np.int64(3),
            'list': [0.123456, 2],
            'array': np.array([[1.0, 2.00001]]),
            'tensor': torch.tensor([0.25, float('nan')]),
            'scalar': torch.tensor(0.75),
            'nan': float('nan'),
            'inf': np.float64('inf'),
            'classes': {1: (0.5, None)},
            'text': 'mIoU',
        },
        str(out),
    )
    assert json.loads(out.read_text(), parse_constant=lambda name: pytest.fail(name)) == {
        'float': 0.1235,
        'numpy': 0.5,
        'int': 3,
        'list': [0.1235, 2],
        'array': [[1.0, 2.0]],
        'tensor': [0.25, None],
        'scalar': 0.75,
        'nan': None,
        'inf': None,
        'classes': {'1': [0.5, None]},
        'text': 'mIoU',
    }


@pytest.mark.input_fault(
    'Metrics and pictures',
    '`--out` that is a folder',
    'refused before the test',
)
def test_a_folder_is_refused_before_the_test(tmp_path):
    with pytest.raises(UserError, match='is a folder; give the name of a file in it'):
        check_out(str(tmp_path))
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='its folder cannot be made'):
        check_out(str(tmp_path / 'file' / 'metrics.json'))


@pytest.mark.input_fault(
    'Metrics and pictures',
    '`--out` that is a `.pkl`',
    'refused, with the metric that writes predictions',
)
def test_predictions_are_written_by_a_metric(tmp_path):
    with pytest.raises(UserError, match='name a .json. Predictions are written by'):
        check_out(str(tmp_path / 'predictions.pkl'))


def test_a_number_for_each_class(trained_classifier, tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(
        f'_base_ = {str(trained_classifier.config)!r}\n'
        "test_evaluator = dict(_delete_=True, type='SingleLabelMetric', average=None)\n"
    )
    checkpoint = trained_classifier.work_dir / 'epoch_1.pth'
    out = tmp_path / 'metrics.json'
    outcome = run_tool('test', config, checkpoint, '--work-dir', tmp_path / 'work', '--out', out)
    assert outcome.code == 0, outcome.output
    metrics = json.loads(out.read_text())
    assert len(metrics['single-label/precision_classwise']) == 2
