"""The shell scripts of ``tools/``, Slurm's with a stand-in for srun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers.interruption import weights_of
from helpers.processes import free_port, run_script
from helpers.tools import ROOT

SCRIPTS = sorted((ROOT / 'tools').glob('*.sh'))

# Writes down its arguments; then, if it is to, runs the command as the one task of a job.
SRUN = """\
#!/usr/bin/env bash
printf '%s\\n' "$@" > "$RECORD"
[[ ${RUN_TASK:-} ]] || exit 0
while [[ $1 == --* ]]; do shift; done
export SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_LOCALID=0 SLURM_NODELIST=node1
exec "$@"
"""


@pytest.fixture
def slurm(tmp_path) -> dict:
    """Variables under which srun is the stand-in; scontrol names this machine."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    for name, content in (('srun', SRUN), ('scontrol', '#!/bin/sh\necho 127.0.0.1\n')):
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    return {'PATH': f'{folder}:{os.environ["PATH"]}', 'RECORD': tmp_path / 'record'}


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script):
    subprocess.run(['bash', '-n', script], check=True)
    shellcheck = Path(sys.executable).with_name('shellcheck')  # of requirements/tests.txt
    checked = subprocess.run([shellcheck, script], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_too_few_arguments_are_answered_with_the_usage(tmp_path, script):
    outcome = run_script(tmp_path / 'log', script.name, 'one')
    assert outcome.code == 2
    assert f': tools/{script.name} ' in outcome.output
    assert len(outcome.output.splitlines()) == 2


@pytest.mark.parametrize(
    ('script', 'arguments', 'tool'),
    [
        ('slurm_train.sh', ['c.py', '--resume'], ['train.py', 'c.py', '--launcher slurm --resume']),
        ('slurm_test.sh', ['c.py', 'c.pth'], ['test.py', 'c.py', 'c.pth', '--launcher slurm']),
    ],
)
@pytest.mark.parametrize(
    ('variables', 'resources'),
    [
        ({}, 'gpu:8 8 8 5'),
        ({'GPUS': 16}, 'gpu:8 16 8 5'),
        ({'GPUS': 2, 'CPUS_PER_TASK': 3}, 'gpu:2 2 2 3'),
        ({'GPUS': 8, 'GPUS_PER_NODE': 4}, 'gpu:4 8 4 5'),
    ],
    ids=lambda value: ','.join(map(str, value)) if isinstance(value, dict) else '',
)
def test_srun_is_asked_for_what_the_variables_say(
    tmp_path, slurm, script, arguments, tool, variables, resources
):
    given = {**slurm, **variables, 'SRUN_ARGS': '--time=1:00 --mem=0'}
    outcome = run_script(tmp_path / 'log', script, 'part', 'my job', *arguments, **given)
    assert outcome.code == 0, outcome.output
    gres, tasks, per_node, cpus = resources.split()
    assert slurm['RECORD'].read_text().splitlines() == [
        '--partition=part',
        '--job-name=my job',
        f'--gres={gres}',
        f'--ntasks={tasks}',
        f'--ntasks-per-node={per_node}',
        f'--cpus-per-task={cpus}',
        '--kill-on-bad-exit=1',
        '--time=1:00',
        '--mem=0',
        'python',
        '-u',
        f'{ROOT}/tools/{tool[0]}',
        *' '.join(tool[1:]).split(),
    ]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='is about a machine without a GPU')
def test_a_job_of_one_task_trains_and_tests(tmp_path, slurm, tiny_config):
    given = {**slurm, 'RUN_TASK': 1, 'MASTER_PORT': free_port(), 'GPUS': 1}
    options = ['--work-dir', tmp_path / 'run']
    schedule = ['--cfg-options', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2']
    command = ['slurm_train.sh', 'part', 'job', tiny_config, *options, *schedule]
    outcome = run_script(tmp_path / 'log', *command, **given)
    assert outcome.code == 0, outcome.output
    assert 'Distributed launcher: slurm' in outcome.output
    assert 'Distributed training: True' in outcome.output
    assert weights_of(tmp_path / 'run', 'iter_2.pth')

    out = tmp_path / 'metrics.json'
    command = ['slurm_test.sh', 'part', 'job', tiny_config, tmp_path / 'run' / 'iter_2.pth']
    outcome = run_script(tmp_path / 'log', *command, *options, '--out', out, **given)
    assert outcome.code == 0, outcome.output
    assert 'mIoU' in out.read_text()
