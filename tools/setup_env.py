"""Set mmca up: a virtual environment with one of the two library stacks and mmca itself.

Run through `make setup` (also part of `make demo` and `make test`). Each step leaves a stamp in the
environment once its result has been checked, so an interrupted run continues where it stopped, and
one that finds everything in place ends at once.
"""

import sys

if sys.version_info < (3, 10):
    sys.exit(
        'mmca needs Python >= 3.10, %s is %d.%d: install a newer one with its venv module and '
        'name it, e.g. `make setup PYTHON=python3.11`' % ((sys.executable,) + sys.version_info[:2])
    )

import argparse
import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import NamedTuple

from doctor import OPS_CHECK
from environment import (
    OPENCV_TROUBLE,
    Environment,
    SetupError,
    Step,
    is_installed,
    minutes,
    read_pins,
    say,
)

ROOT = Path(__file__).resolve().parent.parent
DISK_GB = 15


class Stack(NamedTuple):
    """One of the two sets of libraries; `newest` is the last Python its packages exist for."""

    name: str
    venv: str
    mmcv: str
    newest: tuple[int, int]


STACKS = {
    'onedl': Stack('onedl', '.venv', 'onedl-mmcv', (3, 13)),
    'upstream': Stack('upstream', '.venv-upstream', 'mmcv', (3, 11)),
}

FIND_MMCA = f"""
import importlib.util, pathlib, pytest
spec = importlib.util.find_spec('mmca')
assert spec and pathlib.Path(spec.origin).is_relative_to({str(ROOT)!r}), spec
"""
# Exit status 10: GPU and CUDA toolkit, 20: GPU alone.
FIND_TOOLKIT = """
import sys, torch
from torch.utils.cpp_extension import CUDA_HOME
sys.exit(torch.cuda.is_available() * (10 if CUDA_HOME else 20))
"""


def make_steps(stack: Stack) -> list[Step]:
    """The steps of a stack, in the order that works."""
    folder = ROOT / 'requirements'
    build, tests, pinned = folder / 'build.txt', folder / 'tests.txt', folder / f'{stack.name}.txt'
    pins = read_pins(pinned)
    limits = ['-c', str(pinned)]
    torch = ['torch', 'torchvision']
    index = os.environ.get('TORCH_INDEX_URL')
    version = ROOT / 'mmca' / 'version.py'
    return [
        Step(
            name='build',
            title='build tools',
            takes='seconds',
            commands=[['--upgrade', '-r', str(build)]],
            wanted=read_pins(build),
            check='import setuptools, pkg_resources, pip, psutil, wheel, ninja',
            inputs=[build],
        ),
        Step(
            name='torch',
            title='PyTorch',
            takes='1-15 minutes, up to 5 GB to download',
            commands=[[*torch, *limits, *(['--index-url', index] if index else [])]],
            wanted={name: pins[name] for name in torch},
            check='import torch, torchvision; torch.ones(1) + 1',
            inputs=[pinned],
        ),
        Step(
            name='mmcv',
            title='mmcv, compiled against this PyTorch',
            takes='about 5 minutes on 2 cores, or seconds when pip has it cached',
            commands=[['--no-build-isolation', stack.mmcv, *limits]],
            wanted={stack.mmcv: pins[stack.mmcv]},
            check=OPS_CHECK,
            inputs=[pinned],
        ),
        Step(
            name='libraries',
            title='the other OpenMMLab libraries',
            takes='1-2 minutes',
            commands=[['-r', str(pinned)]],
            wanted=pins,
            check='import cv2, mmengine, mmdet, mmseg, mmpretrain',
            inputs=[pinned],
        ),
        Step(
            name='mmca',
            title='test tools and mmca itself',
            takes='seconds',
            commands=[
                ['-r', str(tests), *limits],
                ['--no-build-isolation', '--no-deps', '-e', str(ROOT)],
            ],
            wanted={**read_pins(tests), 'mmca': re.search(r"'(.+)'", version.read_text())[1]},
            check=FIND_MMCA,
            inputs=[tests, ROOT / 'setup.py', version],
        ),
    ]


def python_problem(version: tuple[int, int], stack: Stack) -> str:
    """Why a Python version does not serve a stack, '' if it does."""
    if version <= stack.newest:
        return ''
    newest = '.'.join(map(str, stack.newest))
    return (
        f'the {stack.name} stack has no packages for Python {version[0]}.{version[1]}: name one '
        f'from 3.10 to {newest}, e.g. `make setup STACK={stack.name} PYTHON=python{newest}`'
    )


def missing_prerequisites(stack: Stack, todo: set[str], fresh: bool) -> list[str]:
    """One line for each thing that has to be there before.

    Args:
        stack: The stack to be installed.
        todo: Names of the steps ahead.
        fresh: Whether the environment has yet to be made.
    """
    problems = []
    python = 'python{}.{}'.format(*sys.version_info[:2])
    if fresh:
        problems.append(python_problem(sys.version_info[:2], stack))
    if fresh and not all(map(importlib.util.find_spec, ('venv', 'ensurepip'))):
        problems.append(f'Python has no venv module: `apt-get install {python}-venv`')
    if 'mmcv' in todo:
        if not any(map(shutil.which, (os.environ.get('CXX', 'c++').split()[0], 'c++', 'g++'))):
            problems.append('no C++ compiler: install g++, e.g. `apt-get install g++`')
        if not Path(sysconfig.get_path('include'), 'Python.h').is_file():
            problems.append(f"Python's headers are missing: `apt-get install {python}-dev`")
    if not shutil.which('git'):
        problems.append('git is missing: `apt-get install git`')
    free = shutil.disk_usage(ROOT).free / 1e9
    if 'torch' in todo and free < DISK_GB:
        problems.append(f'{free:.0f} GB free at {ROOT}, {DISK_GB} GB needed: free some space')
    return list(filter(None, problems))


def compile_mmcv(env: Environment, *args: str, **variables: str) -> None:
    """Let pip install mmcv with the flags of `tools/mmcv_flags.py`, which keep the user's own."""
    folder = env.path / 'mmcv-build'
    if env.run([env.python, str(ROOT / 'tools' / 'mmcv_flags.py'), str(folder)]):
        variables['CFLAGS'] = env.last_output().strip().splitlines()[-1]
    try:
        env.pip_install(*args, **variables)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # 400 MB


def install_mmcv(step: Step, env: Environment) -> None:
    """Install mmcv and make sure that its compiled operators load with this torch."""
    toolkit = subprocess.run([env.python, '-c', FIND_TOOLKIT], stderr=subprocess.DEVNULL).returncode
    devices = ['cpu', 'cuda'] if toolkit == 10 else ['cpu']
    variables = {}
    if toolkit == 20:
        say('      a GPU but no CUDA toolkit (nvcc) here: the operators are compiled for CPU only.')
        say(f'      For GPU ones install the toolkit, delete {env.path.name} and run this again,')
        say('      after `pip cache remove "*mmcv"`.')
        variables['CUDA_VISIBLE_DEVICES'] = ''
    if not is_installed(step.wanted, env.site):
        compile_mmcv(env, *step.commands[0], **variables)
    if all(env.check(step.check, device) for device in devices):
        return
    if re.search(OPENCV_TROUBLE, env.last_output()):
        raise SetupError(env.explain('mmcv does not import'))
    say('      this mmcv was compiled for another PyTorch: compiling it anew, without the cache')
    anew = ['--no-cache-dir', '--force-reinstall', '--no-deps']
    compile_mmcv(env, *anew, *step.commands[0], **variables)
    for device in devices:
        if not env.check(step.check, device):
            raise SetupError(env.explain(f'mmcv.ops do not work on {device}'))


def perform(step: Step, env: Environment) -> None:
    """Carry out a step; what turns out to be there and working without a stamp only gets one."""
    if step.name == 'mmcv':
        install_mmcv(step, env)
    elif env.stamp(step).exists() or not (
        is_installed(step.wanted, env.site) and env.check(step.check)
    ):
        for command in step.commands:
            env.pip_install(*command)
        if not env.check(step.check):
            advice = f'delete {env.path.name} and run the same command again'
            raise SetupError(env.explain(f'{step.title}: installed, but does not work', advice))
    env.mark_done(step)


def compile_kernels(env: Environment) -> None:
    """Compile the attention's kernels, so that no first use has to; it runs without them, too."""
    if not env.run([env.python, str(ROOT / 'mmca' / 'ops' / 'build.py')]):
        reason = env.last_output().strip().splitlines()[-1]
        say(f'      not compiled, the attention runs without them: {reason}')


def set_up(stack: Stack, env: Environment) -> None:
    """Do what is left to do.

    Raises:
        SetupError: The user has to do something first.
    """
    version = env.version()
    steps = make_steps(stack)
    todo = [step for step in steps if not (version and env.is_done(step))]
    if not todo:
        say(f'{env.path.name} is ready ({stack.name} stack).')
        return
    missing = missing_prerequisites(stack, {step.name for step in todo}, fresh=not version)
    if missing:
        raise SetupError('\n'.join(missing))

    begun = time.monotonic()
    say(f'Setting up {env.path.name} ({stack.name} stack), log: {env.log.relative_to(ROOT)}')
    if version and version != '{}.{}'.format(*sys.version_info[:2]):
        say(f'It keeps its Python {version}; to change that delete it and run this again.')
    with env.log.open('a') as log:
        print(f'\n=== {time.strftime("%Y-%m-%d %H:%M:%S")} {sys.version}', file=log)
    total = len(steps) + 2
    say(f'[1/{total}] virtual environment (seconds)')
    env.prepare()
    for number, step in enumerate(steps, start=2):
        if env.is_done(step):
            say(f'[{number}/{total}] {step.title}: done before')
            continue
        say(f'[{number}/{total}] {step.title} ({step.takes})')
        start = time.monotonic()
        perform(step, env)
        say(f'      done in {minutes(time.monotonic() - start)}')
    say(f"[{total}/{total}] the attention's kernels (about a minute)")
    compile_kernels(env)
    say(f'{env.path.name} is ready after {minutes(time.monotonic() - begun)}.')


@contextlib.contextmanager
def locked(path: Path):
    """Let one set-up of a stack run at a time."""
    with path.open('w') as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('another set-up of this stack is running (or what a killed one left): waiting')
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--stack', choices=STACKS, default='onedl')
    stack = STACKS[parser.parse_args().stack]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit('set-up terminated; run it again to go on'))
    logs = ROOT / 'logs'
    logs.mkdir(exist_ok=True)
    env = Environment(ROOT / stack.venv, logs / f'setup-{stack.name}.log', ROOT)
    try:
        with locked(logs / f'setup-{stack.name}.lock'):
            set_up(stack, env)
    except SetupError as error:
        sys.exit(f'\nSet-up stopped:\n{error}')
    except KeyboardInterrupt:
        sys.exit('\nSet-up interrupted: run the same command again to go on')


if __name__ == '__main__':
    main()
