import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from helpers.tools import run_tool
from mmca.training_log import read_scalars

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_demo_trains_tests_and_draws(tmp_path):
    """`tools/demo.py` from drawing the data to the pictures, with a schedule of 30 iterations."""
    config = tmp_path / 'short.py'
    config.write_text(
        f"_base_ = '{ROOT}/configs/deeplabv3_mbv2ca_sample.py'\n"
        'train_cfg = dict(max_iters=30, val_interval=30)\n'
        'val_dataloader = dict(dataset=dict(indices=32))\n'
        'test_dataloader = val_dataloader\n'
        'default_hooks = dict(logger=dict(interval=5), checkpoint=dict(interval=30))\n'
    )
    work_dir = tmp_path / 'run'
    command = [sys.executable, ROOT / 'tools/demo.py', '--config', config]
    command += ['--work-dir', work_dir, '--data', tmp_path / 'data']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    miou = json.loads((work_dir / 'test/metrics.json').read_text())['mIoU']
    assert f'mIoU {miou:.2f} % on the validation scenes (synthetic, easy)' in done.stdout
    losses = [s['loss'] for s in read_scalars(work_dir) if 'loss' in s]
    assert len(losses) == 6 and losses[-1] < 0.7 * losses[0]
    assert [s['mIoU'] for s in read_scalars(work_dir) if 'mIoU' in s] == [pytest.approx(miou)]
    for name in ('predictions.png', 'curves.png'):
        with Image.open(work_dir / name) as picture:
            assert picture.width > 800 and len(picture.convert('RGB').getcolors(1 << 20)) > 20


@pytest.mark.slow
def test_detection_demo_pretrains_trains_tests_and_draws(tmp_path):
    """The chain of tools, with schedules of a few iterations on a part of the sample."""
    classifier, config = tmp_path / 'classifier.py', tmp_path / 'detector.py'
    classifier.write_text(
        f"_base_ = '{ROOT}/configs/mbv2ca_sample.py'\n"
        'train_dataloader = dict(dataset=dict(indices=128))\n'
        'val_dataloader = dict(dataset=dict(indices=64))\n'
        'train_cfg = dict(max_epochs=1)\n'
    )
    config.write_text(
        f"_base_ = '{ROOT}/configs/ssdlite320_mbv2ca_sample.py'\n"
        'train_cfg = dict(max_iters=4, val_interval=4)\n'
        'test_dataloader = dict(dataset=dict(indices=16))\n'
        'val_dataloader = dict(dataset=dict(indices=16))\n'
        'default_hooks = dict(logger=dict(interval=2), checkpoint=dict(interval=4))\n'
    )
    work_dir = tmp_path / 'run'
    command = [sys.executable, ROOT / 'tools/demo.py', 'detection', '--config', config]
    command += ['--classifier', classifier, '--work-dir', work_dir, '--data', tmp_path / 'data']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert 'tensors of the backbone from' in done.stdout + done.stderr
    assert 'mAP@.5 ' in done.stdout
    for name in ('predictions.png', 'curves.png'):
        with Image.open(work_dir / name) as picture:
            assert picture.width > 800 and len(picture.convert('RGB').getcolors(1 << 20)) > 20


def test_demo_names_the_tool_that_failed(tmp_path):
    (tmp_path / 'sample_easy').write_text('a file where the sample is to lie')
    outcome = run_tool('demo', '--data', tmp_path, '--work-dir', tmp_path / 'run')
    assert outcome.code == 1
    assert outcome.output.endswith(
        'Error: tools/prepare_data.py failed (exit status 1), see above\n'
    )
