"""Killing a training, and comparing what it ends with."""

import os
import signal
import subprocess
from pathlib import Path

import torch

from helpers import preloaded
from helpers.tools import ROOT
from mmca.checkpoint import load_file

# Runs a script and ends it with SIGKILL while a file is being written, or just after.
KILLED = """\
import os, runpy, signal, sys
moment, folder, name = sys.argv[1:4]
sys.argv = sys.argv[4:]
sync, replace = os.fsync, os.replace

def killing_sync(file):
    if moment == 'writing' and os.path.exists(f'{folder}/.{name}.partial'):
        os.kill(os.getpid(), signal.SIGKILL)
    sync(file)

def killing_replace(source, target):
    replace(source, target)
    if moment == 'written' and os.path.basename(target) == name:
        os.kill(os.getpid(), signal.SIGKILL)

os.fsync, os.replace = killing_sync, killing_replace
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def run_killed(moment: str, folder: Path, name: str, *command: object) -> None:
    """Run a script that is killed when it writes, or has written, ``folder/name``."""
    arguments = [preloaded.python(), '-c', KILLED, moment, folder, name, *command]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    ended = subprocess.run(
        list(map(str, arguments)), env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == -signal.SIGKILL, ended.stdout + ended.stderr


def workers(count: int) -> list[str]:
    return [
        f'train_dataloader.num_workers={count}',
        f'train_dataloader.persistent_workers={count > 0}',
    ]


def weights_of(work_dir: Path, name: str) -> dict:
    return load_file(work_dir / name)['state_dict']


def differing(first: dict, second: dict) -> list[str]:
    assert first.keys() == second.keys()
    return [key for key in first if not torch.equal(first[key], second[key])]
