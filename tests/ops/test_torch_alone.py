"""mmca.ops without the OpenMMLab libraries, as on a GPU machine that has PyTorch and Triton."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES = ['mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain']


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Run code where only packages of other names are installed."""
    folder = tmp_path_factory.mktemp('packages')
    for path in Path(sysconfig.get_paths()['purelib']).iterdir():
        if not path.name.lower().startswith(('mm', 'onedl', '__editable__')):
            (folder / path.name).symlink_to(path)

    def do(code):
        lines = f'import sys; sys.path.insert(1, {str(folder)!r}); {code}'
        command = [sys.executable, '-S', '-c', lines]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, env={'MMCA_ATTENTION': 'plain'}
        )

    return do


def test_the_attention_works(run):
    done = run(
        'import torch, mmca.ops.attention, mmca.ops.fusion\n'
        'sys.path.append("tests"); from helpers.attention_block import AttentionBlock\n'
        'print(AttentionBlock().eval()(torch.randn(1, 8, 3, 4)).shape)\n'
        f'print([name for name in {LIBRARIES} if name in sys.modules])'
    )
    assert done.stdout == 'torch.Size([1, 6, 3, 4])\n[]\n', done.stderr


@pytest.mark.parametrize('module', ['mmca.registry', 'mmca.models', 'mmca.engine.arguments'])
def test_the_rest_says_what_is_missing(run, module):
    done = run(f'import {module}')
    assert done.stderr.splitlines()[-2:] == [
        'RuntimeError: mmca needs mmengine>=0.10.7,<0.11, which is missing: '
        'pip install onedl-mmengine==0.10.12',
        'mmca needs mmcv>=2.1.0,<2.4, which is missing: '
        'pip install --no-build-isolation onedl-mmcv==2.3.6',
    ]
