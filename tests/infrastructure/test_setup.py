import ast
import fcntl
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import setup_env
from environment import Environment, SetupError, Step, damaged_distributions, is_installed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def env(tmp_path):
    (tmp_path / 'tools').mkdir()
    return Environment(tmp_path / '.venv', tmp_path / 'setup.log', tmp_path)


@pytest.fixture
def clone(tmp_path):
    """What the set-up reads, in a folder without an environment, on a machine without tools."""
    (tmp_path / 'no tools').mkdir()
    shutil.copytree(ROOT / 'requirements', tmp_path / 'requirements')
    for name in ('tools/setup_env.py', 'tools/environment.py', 'tools/doctor.py', 'setup.py'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / 'mmca').mkdir()
    shutil.copy(ROOT / 'mmca' / 'version.py', tmp_path / 'mmca')
    return tmp_path


def start(root, *arguments, path):
    variables = {key: value for key, value in os.environ.items() if key != 'CXX'}
    return subprocess.Popen(
        [sys.executable, root / 'tools' / 'setup_env.py', *arguments],
        env={**variables, 'PATH': str(path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def add_distribution(site, name, version, *files):
    info = site / f'{name}-{version}.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text(f'Name: {name}\nVersion: {version}\n')
    (info / 'INSTALLER').write_text('pip\n')
    (info / 'RECORD').write_text(''.join(f'{file},sha256=0,1\n' for file in files))
    for file in files:
        (site / file).touch()
    return info


def step(**changes):
    values = {'takes': '', 'commands': [], 'wanted': {}, 'check': '', 'inputs': []}
    return Step(**{'name': 'torch', 'title': 'PyTorch', **values, **changes})


def test_one_line_for_each_missing_tool(clone):
    process = start(clone, path=clone / 'no tools')
    output = process.communicate()[0]
    assert process.returncode == 1
    assert 'no C++ compiler: install g++, e.g. `apt-get install g++`\n' in output
    assert 'git is missing: `apt-get install git`\n' in output
    assert not (clone / '.venv').exists()


@pytest.mark.parametrize('name', ['setup_env.py', 'doctor.py'])
def test_an_older_python_can_read_the_message(name):
    source = (ROOT / 'tools' / name).read_text()
    ast.parse(source, feature_version=(3, 7))
    check = source.index('sys.version_info < (3, 10)')
    assert check < source.index('\nimport importlib')


@pytest.mark.parametrize(
    ('stack', 'version', 'named'),
    [('onedl', (3, 14), 'PYTHON=python3.13'), ('upstream', (3, 12), 'PYTHON=python3.11')],
)
def test_python_that_is_too_new(stack, version, named):
    problem = setup_env.python_problem(version, setup_env.STACKS[stack])
    assert f'{stack} stack has no packages for Python 3.{version[1]}' in problem
    assert named in problem
    for fine in ((3, 10), (3, version[1] - 1)):
        assert setup_env.python_problem(fine, setup_env.STACKS[stack]) == ''


def test_too_little_disk(monkeypatch):
    monkeypatch.setattr(setup_env, 'DISK_GB', 10**9)
    stack = setup_env.STACKS['onedl']
    [line] = setup_env.missing_prerequisites(stack, {'torch'}, fresh=False)
    assert '1000000000 GB needed: free some space' in line
    assert setup_env.missing_prerequisites(stack, {'libraries'}, fresh=False) == []


def test_second_set_up_waits_for_the_first(clone):
    (clone / 'logs').mkdir()
    with (clone / 'logs' / 'setup-onedl.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = start(clone, path=clone / 'no tools')
        assert 'another set-up of this stack is running' in process.stdout.readline()
        assert process.poll() is None
    assert 'Set-up stopped:' in process.communicate()[0]


def test_complete_environment_is_left_alone():
    stacks = {ROOT / stack.venv: stack.name for stack in setup_env.STACKS.values()}
    stack = stacks.get(Path(sys.prefix).resolve())
    if stack is None or not (Path(sys.prefix) / 'setup-stamps').is_dir():
        pytest.skip('needs an environment made by `make setup`')
    process = start(ROOT, '--stack', stack, path='')
    ready = f'{Path(sys.prefix).name} is ready ({stack} stack).\n'
    assert process.communicate()[0] == ready, 'after a change of the pins run `make setup` first'
    assert process.returncode == 0


def test_cut_off_installs_are_found(tmp_path):
    add_distribution(tmp_path, 'whole', '1.0', 'whole.py')
    no_installer = add_distribution(tmp_path, 'a', '1.0') / 'INSTALLER'
    no_record = add_distribution(tmp_path, 'b', '1.0') / 'RECORD'
    add_distribution(tmp_path, 'c', '1.0', 'c.py')
    for file in (no_installer, no_record, tmp_path / 'c.py'):
        file.unlink()
    (tmp_path / '~orch').mkdir()
    found = {path.name for path in damaged_distributions(tmp_path)}
    assert found == {'a-1.0.dist-info', 'b-1.0.dist-info', 'c-1.0.dist-info', '~orch'}


def test_installed_versions_are_compared(tmp_path):
    add_distribution(tmp_path, 'onedl_mmcv', '2.3.6')
    add_distribution(tmp_path, 'torch', '2.11.0+cpu')
    assert is_installed({'onedl-mmcv': '2.3.6', 'torch': '2.11.0'}, tmp_path)
    assert is_installed({'torch': ''}, tmp_path)
    assert not is_installed({'torch': '2.1.2'}, tmp_path)
    assert not is_installed({'ruff': ''}, tmp_path)


def test_step_is_done_until_something_changes(env, tmp_path):
    venv.create(env.path)
    pins = tmp_path / 'pins.txt'
    pins.write_text('torch==1.0\n')
    info = add_distribution(env.site, 'torch', '1.0')
    torch = step(wanted={'torch': '1.0'}, inputs=[pins])
    assert not env.is_done(torch)
    env.mark_done(torch)
    assert env.is_done(torch)
    pins.write_text('torch==1.0\nnumpy==1.0\n')
    assert not env.is_done(torch)
    env.mark_done(torch)
    assert env.is_done(torch)
    shutil.rmtree(info)
    assert not env.is_done(torch)


def test_step_that_works_already_is_only_stamped(env):
    venv.create(env.path)  # without pip: an attempt to install would fail
    setup_env.perform(step(commands=[['torch']], check='import json'), env)
    assert (env.stamps / 'torch').is_file()


def test_failed_check_leaves_no_stamp(env):
    venv.create(env.path)
    with pytest.raises(SetupError, match='PyTorch: installed, but does not work') as error:
        setup_env.perform(step(check='raise OSError("libtorch.so is gone")'), env)
    assert 'OSError: libtorch.so is gone' in str(error.value)
    assert 'Full log: setup.log\nTo do: delete .venv and run the same' in str(error.value)
    assert not env.stamps.exists()


@pytest.mark.parametrize(
    ('said', 'advice'),
    [
        ('fatal error: Python.h: No such file or directory', '`apt-get install python3-dev`'),
        ('c++: fatal error: Killed signal terminated program cc1plus', 'try MAX_JOBS=1'),
        ('ImportError: libGL.so.1: cannot open', '`apt-get install libgl1 libglib2.0-0`'),
        ('OSError: [Errno 28] No space left on device', 'free some space and run it again'),
        ('something new', 'read the log, put it right and run the same command again'),
    ],
)
def test_known_problems_get_advice(env, said, advice):
    assert not env.run([sys.executable, '-c', f'raise SystemExit({said!r})'])
    explanation = env.explain('pip could not install it')
    assert said in explanation
    assert explanation.splitlines()[-1].endswith(advice)


def test_folder_that_is_no_environment_is_not_touched(env):
    env.path.mkdir()
    (env.path / 'thesis.txt').write_text('mine')
    with pytest.raises(SetupError, match='.venv exists and is no virtual environment: move it'):
        env.prepare()
    assert [path.name for path in env.path.iterdir()] == ['thesis.txt']


@pytest.mark.slow
@pytest.mark.parametrize('state', ['missing', 'cut off', 'no pip', 'half a pip', 'no python'])
def test_half_made_environment_is_repaired(env, state):
    if state == 'cut off':
        (env.path / 'bin').mkdir(parents=True)
    elif state == 'no pip':
        venv.create(env.path)
    elif state == 'half a pip':
        venv.create(env.path, with_pip=True)
        shutil.rmtree(env.site / 'pip' / '_internal')
    elif state == 'no python':
        venv.create(env.path)
        env.python.unlink()
        env.python.symlink_to('/nowhere/python')
    env.prepare()
    assert env.version() == '{}.{}'.format(*sys.version_info[:2])
    assert env.check('import pip._internal')


def write_wheel(folder, code):
    info = 'tinyops-1.0.dist-info'
    with zipfile.ZipFile(folder / 'tinyops-1.0-py3-none-any.whl', 'w') as wheel:
        wheel.writestr('tinyops.py', code)
        wheel.writestr(f'{info}/METADATA', 'Metadata-Version: 2.1\nName: tinyops\nVersion: 1.0\n')
        wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\nTag: py3-none-any\n')
        wheel.writestr(f'{info}/RECORD', f'tinyops.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n')


@pytest.mark.slow
def test_ops_of_another_torch_are_built_anew(env, tmp_path, capsys):
    venv.create(env.path, with_pip=True)
    ops = step(
        name='mmcv',
        commands=[['--no-index', '--find-links', str(tmp_path), 'tinyops']],
        wanted={'tinyops': '1.0'},
        check='import tinyops',
    )
    write_wheel(tmp_path, 'raise ImportError("undefined symbol: torch")')
    with pytest.raises(SetupError, match='mmcv.ops do not work on cpu'):
        setup_env.install_mmcv(ops, env)
    write_wheel(tmp_path, '')
    setup_env.install_mmcv(ops, env)
    assert capsys.readouterr().out.count('compiled for another PyTorch: compiling it anew') == 2
    assert env.check('import tinyops')
    setup_env.install_mmcv(ops, env)
    assert capsys.readouterr().out == ''


def make_program(path, text):
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)
    return path


def test_set_up_goes_on_where_the_kernels_do_not_compile(env, capsys):
    (env.path / 'bin').mkdir(parents=True)
    make_program(
        env.python, "echo 'mmca cannot compile its kernels: ninja is not installed'; exit 1"
    )
    setup_env.compile_kernels(env)
    assert capsys.readouterr().out == (
        '      not compiled, the attention runs without them: '
        'mmca cannot compile its kernels: ninja is not installed\n'
    )


@pytest.mark.slow
def test_mmcv_compiles_without_the_precompiled_header_too(tmp_path):
    compiler = make_program(tmp_path / 'cxx', 'echo no such option >&2; exit 1')
    command = [sys.executable, ROOT / 'tools' / 'mmcv_flags.py', tmp_path / 'build']
    environment = {**os.environ, 'CXX': str(compiler), 'CFLAGS': '-O2 -Wall'}
    flags = subprocess.check_output(command, env=environment, text=True).split()
    header = tmp_path / 'build' / 'torch_types.h'
    # The user's own first: setuptools takes them in place of Python's.
    assert flags == ['-O2', '-Wall', '-g0', '-Winvalid-pch', '-include', str(header)]
    # Each of mmcv's files includes it first anyway.
    assert header.read_text() == '#include <torch/types.h>\n'
    assert not header.with_suffix('.h.gch').exists()


def test_mmcv_is_compiled_with_these_flags(env, monkeypatch):
    (env.path / 'bin').mkdir(parents=True)
    seen = env.root / 'seen'
    make_program(env.python, f'echo "$CFLAGS" >> {seen}; echo -O1 -g0 -include header')
    monkeypatch.setenv('CFLAGS', '-O1')
    setup_env.compile_mmcv(env, 'mmcv')
    assert seen.read_text().splitlines() == ['-O1', '-O1 -g0 -include header']
