"""tools/train.py and tools/test.py serve mmdet and mmpretrain as they serve mmseg."""

import json
from pathlib import Path

import pytest

from helpers.tools import run_tool

pytestmark = pytest.mark.slow


def check_testing(work_dir: Path, config: Path, metric: str) -> None:
    out = work_dir / 'metrics.json'
    outcome = run_tool(
        'test',
        config,
        work_dir / 'epoch_1.pth',
        '--work-dir',
        work_dir / 'test',
        '--out',
        out,
        '--show-dir',
        work_dir / 'pictures',
    )
    assert outcome.code == 0, outcome.output
    assert 0 <= json.loads(out.read_text())[metric] <= 100
    pictures = [p for p in work_dir.rglob('*') if p.suffix in ('.png', '.jpg')]
    assert len(pictures) == 8


def test_detection(trained_detector):
    check_testing(*trained_detector, 'pascal_voc/mAP')


def test_classification(trained_classifier):
    check_testing(*trained_classifier, 'accuracy/top1')
