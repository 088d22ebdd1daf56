"""Several processes on a machine without GPUs, as tools/dist_train.sh starts them."""

import json
import math
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from mmengine.config import Config

from helpers.interruption import differing, weights_of
from helpers.processes import Job, free_port, run_script
from helpers.tools import ROOT
from mmca.engine.distributed import connection_lost
from mmca.sampledata import SampleSettings, generate

LAST = 'iter_12.pth'
on_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason='is about gloo, without a GPU')


@pytest.fixture(scope='module')
def config(tiny_config, tmp_path_factory) -> Path:
    """The tiny config with batches of 2 for each process, and as exact as can be."""
    path = tmp_path_factory.mktemp('configs') / 'exact.py'
    imports = [
        'mmca.models.decode_heads',
        'mmca.datasets.transforms.segmentation',
        'mmca.datasets.transforms.seg_augmentation',
    ]
    path.write_text(
        f'_base_ = {str(tiny_config)!r}\n'
        f'custom_imports = dict(imports={["mmca", *imports, "helpers.exact_training"]})\n'
        "custom_hooks = [dict(type='FrozenNorm')]\n"
        # Its mask depends on the process.
        'model = dict(decode_head=dict(dropout_ratio=0.0))\n'
        'train_dataloader = dict(batch_size=2)\n'
    )
    return path


class Pair(NamedTuple):
    """An uninterrupted run of two fresh processes: its folder and output."""

    work_dir: Path
    output: str


@pytest.fixture(scope='module')
def pair(config, tmp_path_factory) -> Pair:
    folder = tmp_path_factory.mktemp('pair')
    command = ['dist_train.sh', config, 2, '--work-dir', folder / 'run']
    outcome = run_script(folder / 'log', *command, python=sys.executable)
    assert outcome.code == 0, outcome.output
    return Pair(folder / 'run', outcome.output)


def distance(first: dict, second: dict) -> float:
    """Euclidean distance of all weights, relative to their norm."""
    assert first.keys() == second.keys()
    difference = sum(float((first[key] - second[key]).square().sum()) for key in first)
    return math.sqrt(difference / sum(float(first[key].square().sum()) for key in first))


@on_cpu
@pytest.mark.slow
def test_two_processes_train_like_one_with_their_total_batch(config, pair, tmp_path):
    assert 'No GPU found: batch norm is not synchronised' in pair.output
    # Without its imports: they set the default dtype of this process, too.
    dumped = Config.fromfile(pair.work_dir / config.name, import_custom_modules=False)
    assert dumped.env_cfg.dist_cfg.backend == 'nccl'
    assert 'model_wrapper_cfg' not in dumped
    command = [config, '--work-dir', tmp_path, '--cfg-options', 'train_dataloader.batch_size=4']
    outcome = run_script(tmp_path / 'log', 'train.py', *command)
    assert outcome.code == 0, outcome.output
    two, one = weights_of(pair.work_dir, LAST), weights_of(tmp_path, LAST)
    # Not bitwise: gradients are summed in another order. Measured: 1e-14.
    assert distance(one, two) < 1e-12
    # What the last third of the training changed is no such trifle.
    assert distance(one, weights_of(tmp_path, 'iter_8.pth')) > 1e-3


@on_cpu
@pytest.mark.slow
def test_a_run_of_two_goes_on_as_one_with_the_same_total_batch_only(config, pair, tmp_path):
    begun = tmp_path / 'iter_8.pth'
    begun.write_bytes((pair.work_dir / 'iter_8.pth').read_bytes())
    command = ['train.py', config, '--work-dir', tmp_path, '--resume']
    outcome = run_script(tmp_path / 'log', *command)
    assert outcome.code == 1
    assert f'Error: {begun}: was trained with a total batch of 4, and this' in outcome.output
    assert 'this run has 2 (1 x 2)' in outcome.output
    advice = '--cfg-options train_dataloader.batch_size=4'
    assert f'Add {advice}, or' in outcome.output
    assert 'Traceback' not in outcome.output
    assert not (tmp_path / LAST).exists()

    outcome = run_script(tmp_path / 'log', *command, *advice.split())
    assert outcome.code == 0, outcome.output
    assert distance(weights_of(tmp_path, LAST), weights_of(pair.work_dir, LAST)) < 1e-12


def failing(config: Path, how: str, folder: Path) -> list:
    """A command that trains two processes of which one fails."""
    path = folder / 'failing.py'
    hooks = f"[dict(type='FrozenNorm'), dict(type='Fail', how={how!r})]"
    path.write_text(f'_base_ = {str(config)!r}\ncustom_hooks = {hooks}\n')
    return ['dist_train.sh', path, 2, '--work-dir', folder / 'run']


ROOT_CAUSE = 'Root Cause (first observed failure):'


@on_cpu
@pytest.mark.slow
def test_one_process_is_killed_all_stop_and_go_on_bit_by_bit(config, pair, tmp_path):
    command = failing(config, 'killed', tmp_path)
    outcome = run_script(tmp_path / 'log', *command)
    assert outcome.code == 1, outcome.output
    assert 'tools/train.py FAILED' in outcome.output
    # Not always as the root cause: before torchrun looks, process 0 may have ended for lack of it.
    assert re.search(r'rank +: 1 \(local_rank: 1\)\n +exitcode +: -9 ', outcome.output)
    assert 'Signal 9 (SIGKILL) received' in outcome.output
    survivor = 'Error: process 0 lost another one'
    assert survivor in outcome.output or 'rank      : 1 ' in outcome.output.split(ROOT_CAUSE)[1]
    assert [path.name for path in (tmp_path / 'run').glob('*.pth')] == ['iter_4.pth']

    command[1] = config
    outcome = run_script(tmp_path / 'log', *command, '--resume')
    assert outcome.code == 0, outcome.output
    assert 'resumed epoch: 0, iter: 4' in outcome.output
    assert differing(weights_of(tmp_path / 'run', LAST), weights_of(pair.work_dir, LAST)) == []


@on_cpu
@pytest.mark.slow
def test_one_process_hangs_all_stop_after_the_timeout(config, tmp_path):
    command = failing(config, 'hangs', tmp_path)
    outcome = run_script(tmp_path / 'log', *command, '--cfg-options', 'env_cfg.dist_cfg.timeout=20')
    assert outcome.code == 1, outcome.output
    assert 'Error: process 0 lost another one, or it was silent for too long' in outcome.output
    assert 'Timed out waiting 20000ms' in outcome.output
    assert 'give the same command and --resume' in outcome.output
    assert 'rank      : 0 (local_rank: 0)' in outcome.output.split(ROOT_CAUSE)[1]


@on_cpu
@pytest.mark.slow
def test_two_machines_of_one_process_train_like_one_machine_of_two(config, pair, tmp_path):
    variables = {'NNODES': 2, 'MASTER_ADDR': '127.0.0.1', 'PORT': free_port()}
    command = ['dist_train.sh', config, 1, '--work-dir', tmp_path / 'run']
    machines = [Job(tmp_path / f'log_{i}', *command, NODE_RANK=i, **variables) for i in (0, 1)]
    for machine in machines:
        outcome = machine.end()
        assert outcome.code == 0, outcome.output
    assert differing(weights_of(tmp_path / 'run', LAST), weights_of(pair.work_dir, LAST)) == []


@on_cpu
@pytest.mark.slow
def test_two_processes_measure_what_one_measures(config, pair, tmp_path):
    command = [config, pair.work_dir / LAST]
    options = ['--work-dir', tmp_path / 'work', '--out']
    measured = []
    for script, number in (('dist_test.sh', [2]), ('test.py', [])):
        out = tmp_path / f'{script}.json'
        outcome = run_script(tmp_path / 'log', script, *command, *number, *options, out)
        assert outcome.code == 0, outcome.output
        measured.append(json.loads(out.read_text()))
    assert measured[0] == measured[1]
    assert measured[0]['mIoU'] > 0


@on_cpu
@pytest.mark.slow
@pytest.mark.parametrize(
    ('config_name', 'layout', 'schedule', 'checkpoint', 'metric'),
    [
        (
            'ssdlite320_mbv2ca_sample',
            'coco',
            ['train_cfg.max_iters=2', 'train_cfg.val_interval=2'],
            'iter_2.pth',
            'coco/bbox_mAP',
        ),
        (
            'mbv2ca_sample',
            'imagenet',
            ['train_cfg.max_epochs=1', 'param_scheduler.1.T_max=1'],
            'epoch_1.pth',
            'accuracy/top1',
        ),
    ],
    ids=['detection', 'classification'],
)
def test_other_tasks_train_on_two_processes(
    tmp_path, config_name, layout, schedule, checkpoint, metric
):
    generate(SampleSettings(train=20, val=20, size=64), tmp_path / 'data', layout)
    config = ROOT / 'configs' / f'{config_name}.py'
    arguments = ['--data-root', tmp_path / 'data', '--work-dir', tmp_path / 'run']
    options = ['--cfg-options', 'train_dataloader.batch_size=2', *schedule]
    outcome = run_script(tmp_path / 'log', 'dist_train.sh', config, 2, *arguments, *options)
    assert outcome.code == 0, outcome.output
    assert f'{metric}: ' in outcome.output
    assert weights_of(tmp_path / 'run', checkpoint)


def test_only_lost_connections_are_taken_for_such():
    assert connection_lost(RuntimeError('shape mismatch')) is None
    lost = RuntimeError('[../third_party/gloo/pair.cc:534] Connection closed by peer [::1]:6')
    assert 'Connection closed by peer' in connection_lost(lost)
