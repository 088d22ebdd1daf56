"""tools/demo.py and the tools that it calls, on smaller samples and networks than a user's."""

import json
import re
import shlex
import subprocess
import sys
import time

import pytest
from PIL import Image

import demo
from helpers import preloaded
from helpers.tools import ROOT, run_tool
from mmca.training_log import read_scalars


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Run the demo; returns what it and its tools wrote."""
    start = subprocess.run

    def run_smaller(command, **options):
        if not isinstance(command, list):
            return start(command, **options)
        size = ['--train', '40', '--val', '20', '--size', '64']
        return start([*command, *size] if 'sample' in command else command)

    monkeypatch.setattr(demo.subprocess, 'run', run_smaller)
    monkeypatch.setattr(sys, 'executable', preloaded.python())
    monkeypatch.setenv('PYTHONPATH', str(ROOT))

    def do(*arguments):
        folders = ['--work-dir', tmp_path / 'run', '--data', tmp_path / 'data']
        monkeypatch.setattr(sys, 'argv', ['demo.py', *map(str, [*arguments, *folders])])
        demo.main()
        return ''.join(capfd.readouterr())

    return do


def assert_drawn(folder):
    for name in ('predictions.png', 'curves.png'):
        with Image.open(folder / name) as picture:
            assert picture.width > 800 and len(picture.convert('RGB').getcolors(1 << 20)) > 20


@pytest.mark.slow
def test_demo_trains_tests_and_draws(run, tmp_path):
    """From drawing the data to the pictures, with a schedule of 30 iterations."""
    config = tmp_path / 'short.py'
    config.write_text(
        f"_base_ = '{ROOT}/configs/deeplabv3_mbv2ca_sample.py'\n"
        'model = dict(\n'
        '    backbone=dict(widen_factor=0.25), decode_head=dict(in_channels=80, channels=16)\n'
        ')\n'
        'param_scheduler = []\n'
        'train_cfg = dict(max_iters=30, val_interval=30)\n'
        'default_hooks = dict(logger=dict(interval=5), checkpoint=dict(interval=30))\n'
    )
    output, work_dir = run('--config', config), tmp_path / 'run'
    miou = json.loads((work_dir / 'test/metrics.json').read_text())['mIoU']
    assert f'mIoU {miou:.2f} % on the validation scenes (synthetic, easy)' in output
    losses = [s['loss'] for s in read_scalars(work_dir) if 'loss' in s]
    assert len(losses) >= 6 and losses[-1] < 0.9 * losses[0]
    assert [s['mIoU'] for s in read_scalars(work_dir) if 'mIoU' in s] == [pytest.approx(miou)]
    assert_drawn(work_dir)
    # What it says to do next.
    photo, out = next((tmp_path / 'data').rglob('*.jpg')), tmp_path / 'out'
    predict, web = re.findall('^  (.*tools/(?:predict|web).py.*)', output, re.M)
    assert f' {work_dir}/iter_30.pth photo.jpg --out predictions' in predict
    done = subprocess.run(
        predict.replace('photo.jpg', str(photo)).replace('--out predictions', f'--out {out}'),
        shell=True,
        cwd=ROOT,
    )
    assert done.returncode == 0 and (out / f'masks/{photo.stem}.png').is_file()
    assert re.search(r'^http://127.0.0.1:\d+/ shows short \(', served(web, tmp_path), re.M)


def served(command: str, folder) -> str:
    """What the page's command prints until it serves, at a free port."""
    with (folder / 'page.log').open('w') as log:
        page = subprocess.Popen([*shlex.split(command), '--port', '0'], cwd=ROOT, stdout=log)
    try:
        for _ in range(1200):
            if ' shows ' in (folder / 'page.log').read_text() or page.poll() is not None:
                break
            time.sleep(0.1)
    finally:
        page.terminate()
        page.wait()
    return (folder / 'page.log').read_text()


@pytest.mark.slow
def test_detection_demo_pretrains_trains_tests_and_draws(run, tmp_path):
    """The chain of tools, with schedules of a few iterations."""
    classifier, config = tmp_path / 'classifier.py', tmp_path / 'detector.py'
    backbone = 'backbone=dict(widen_factor=0.25)'
    classifier.write_text(
        f"_base_ = '{ROOT}/configs/mbv2ca_sample.py'\n"
        f'model = dict({backbone})\n'
        'train_dataloader = dict(batch_size=20)\n'
        'train_cfg = dict(max_epochs=1)\n'
    )
    config.write_text(
        f"_base_ = '{ROOT}/configs/ssdlite320_mbv2ca_sample.py'\n"
        f'head = dict(in_channels=(24, 1280, 512, 256, 256, 64))\n'
        f'model = dict({backbone}, bbox_head=head)\n'
        'train_cfg = dict(max_iters=4, val_interval=4)\n'
        'default_hooks = dict(logger=dict(interval=2), checkpoint=dict(interval=4))\n'
    )
    output = run('detection', '--config', config, '--classifier', classifier)
    assert 'tensors of the backbone from' in output
    assert 'mAP@.5 ' in output
    assert_drawn(tmp_path / 'run')


def test_demo_names_the_tool_that_failed(tmp_path):
    (tmp_path / 'sample_easy').write_text('a file where the sample is to lie')
    outcome = run_tool('demo', '--data', tmp_path, '--work-dir', tmp_path / 'run')
    assert outcome.code == 1
    assert outcome.output.endswith(
        'Error: tools/prepare_data.py failed (exit status 1), see above\n'
    )
