"""Both forms of mim, each in an environment of its own, with a wheel and with a checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest

from environment import KNOWN_PROBLEMS

ROOT = Path(__file__).parents[2]
OFFLINE = next(text for text in KNOWN_PROBLEMS if 'NameResolutionError' in text)
STACK = 'onedl' if [*metadata.distributions(name='onedl-mmcv')] else 'upstream'
# openmim imports pkg_resources, which setuptools 82 dropped; both want pandas, whose newest wants
# a numpy that the upstream stack does not bear.
LIMITS = ['setuptools<82', '-c', ROOT / 'requirements' / f'{STACK}.txt']

pytestmark = pytest.mark.slow


class Mim(NamedTuple):
    """An environment with mim.

    Attributes:
        bin: The environment's programs.
        folder: Where the commands run.
    """

    bin: Path
    folder: Path

    def __call__(self, *arguments, program='mim'):
        """Run mim; returns exit status and output without colours."""
        done = subprocess.run(
            [self.bin / program, *map(str, arguments)],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, 'PAGER': 'cat', 'COLUMNS': '120', 'MPLBACKEND': 'agg'},
        )
        return done.returncode, re.sub(r'\x1b\[[\d;]*m', '', done.stdout)


@pytest.fixture(scope='module', params=['openmim', 'onedl-mim'])
def mim(request, tmp_path_factory):
    """mim installed by pip, beside the libraries of this environment, but without its mmca."""
    folder = tmp_path_factory.mktemp(request.param)
    own = r'__editable__|mmca|pip\b|setuptools|pkg_resources|_distutils|distutils|.*\.pth$'
    (folder / 'libraries').mkdir()
    for path in Path(sysconfig.get_path('purelib')).iterdir():
        if not re.match(own, path.name):
            (folder / 'libraries' / path.name).symlink_to(path)
    venv.create(folder / 'venv', with_pip=True)
    [site] = folder.glob('venv/lib/python*/site-packages')
    (site / 'libraries.pth').write_text(f'{folder / "libraries"}\n')
    (folder / 'cwd').mkdir()
    mim = Mim(folder / 'venv' / 'bin', folder / 'cwd')
    code, output = mim('install', request.param, *LIMITS, program='pip')
    if code and re.search(OFFLINE, output):
        pytest.skip(f'{request.param} cannot be downloaded: the package index is not reachable')
    assert code == 0, output
    return mim


@pytest.fixture(scope='module')
def checkout(tmp_path_factory):
    """A copy, as `mim install -e` writes into the folder."""
    copy = tmp_path_factory.mktemp('checkout')
    for name in ('mmca', 'configs', 'tools', 'requirements'):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns('__pycache__'))
    for path in [*ROOT.glob('*.toml'), *ROOT.glob('*.yml'), *ROOT.glob('*.md')]:
        shutil.copy2(path, copy)
    for name in ('setup.py', 'LICENSE', 'MANIFEST.in'):
        shutil.copy2(ROOT / name, copy)
    return copy


@pytest.fixture(scope='module', params=['wheel', 'editable'])
def installed(request, mim, checkout, tmp_path_factory):
    """mim after it installed mmca."""
    folder = tmp_path_factory.mktemp('wheel')
    what = ['-e', checkout]
    if request.param == 'wheel':
        pip = [sys.executable, '-m', 'pip', '-q', 'wheel', '--no-deps', '--no-build-isolation']
        subprocess.run([*pip, '-w', folder, '.'], cwd=checkout, check=True)
        what = [*folder.glob('*.whl'), '--force-reinstall']
    code, output = mim('install', '--no-deps', *what)
    assert code == 0, output
    yield mim
    mim('uninstall', '-y', 'mmca')


SMALL = [
    'model.backbone.widen_factor=0.25',
    'model.decode_head.in_channels=80',
    'model.decode_head.channels=16',
]
SHORT = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'param_scheduler.0.end=2']


def test_mim_lists_and_searches(installed):
    code, output = installed('list')
    assert code == 0 and re.search(r'^mmca +\d', output, re.M), output

    code, output = installed('search', 'mmca', '--condition', 'published_value>73.9')
    found = re.findall(r'config id: (\S+)', output)
    assert code == 0 and 'deeplabv3_mbv2ca_voc_s8' in found, output
    assert 'deeplabv3_mbv2ca_voc' not in found  # 73.32


# Each mim, and each way to install.
@pytest.mark.parametrize(
    ('mim', 'installed'), [('openmim', 'wheel'), ('onedl-mim', 'editable')], indirect=True
)
def test_mim_trains_and_tests(installed, sample_voc, tmp_path):
    code, output = installed('train', 'mmca', 'deeplabv3_mbv2ca_voc.py')
    assert code != 0
    assert 'No data: the train_dataloader of this config wants data/VOCdevkit/VOC2012' in output, (
        output
    )
    assert 'tools/prepare_data.py voc2012' in output

    config, work = 'deeplabv3_mbv2ca_sample.py', tmp_path / 'work'
    options = ['--data-root', sample_voc, '--gpus', 0, '--work-dir', work, '--cfg-options', *SMALL]
    code, output = installed('train', 'mmca', config, *options, *SHORT)
    assert code == 0 and 'Training finished successfully' in output, output

    checkpoint = ['--checkpoint', work / 'iter_2.pth']
    code, output = installed('test', 'mmca', config, *checkpoint, *options)
    assert code == 0 and re.search(r'mIoU: \d', output), output


def test_mim_download_says_that_there_is_no_checkpoint(installed, tmp_path):
    code, output = installed(
        'download', 'mmca', '--config', 'deeplabv3_mbv2ca_voc', '--dest', tmp_path / 'saved'
    )
    assert code != 0
    assert 'no checkpoint is published yet: mim train mmca deeplabv3_mbv2ca_voc.py' in output
    assert not [*tmp_path.glob('saved/*')]


def test_mim_runs_tools(installed, tmp_path):
    size = ['--train', 14, '--val', 7, '--size', 64]
    code, output = installed(
        'run', 'mmca', 'prepare_data', 'sample', *size, '--out', tmp_path / 'drawn'
    )
    assert code == 0 and 'finished successfully' in output, output
    assert len([*(tmp_path / 'drawn').rglob('*.jpg')]) == 21
