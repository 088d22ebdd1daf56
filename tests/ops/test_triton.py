"""Triton's kernels without a GPU: the contract of test_kernels.py in its interpreter; its compiler.

The interpreter has to be chosen before Triton is imported, hence a process of its own.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

triton = pytest.importorskip('triton', reason='Triton is not installed')
ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.skipif(
        os.environ.get('TRITON_INTERPRET') == '1', reason='Triton interprets in this process'
    ),
    pytest.mark.skipif(
        int(triton.__version__.split('.')[0]) < 3,
        reason=f'Triton {triton.__version__} neither interprets nor compiles without a GPU, 3 does',
    ),
]


QUICK = '(3x8x5x1 or half or second)'


@pytest.mark.skipif(torch.cuda.is_available(), reason='the contract runs on the GPU itself')
@pytest.mark.parametrize(
    'selection',
    [f'triton and {QUICK}', pytest.param(f'triton and not {QUICK}', marks=pytest.mark.slow)],
)
def test_contract_under_the_interpreter(selection):
    contract = Path(__file__).with_name('test_kernels.py')
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', contract, '-k', selection],
        env=os.environ | {'TRITON_INTERPRET': '1', 'CUDA_VISIBLE_DEVICES': ''},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r'\d+ passed', done.stdout), done.stdout
    skipped = [line for line in done.stdout.splitlines() if line.startswith('SKIPPED')]
    assert all('large' in line for line in skipped), done.stdout


@pytest.mark.parametrize('capability', [80, 90])
@pytest.mark.parametrize('channels_last', [False, True])
@pytest.mark.parametrize('flag', [False, True])
def test_compiler_takes_the_kernels(flag, channels_last, capability, tmp_path, monkeypatch):
    """The interpreter is laxer about types; this makes code for an A100 or H100, without one."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmca.ops.triton_kernels import gate_kernel, sum_kernel

    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    shared = dict(CHANNELS_LAST=channels_last, ALIGNMENT=8, BLOCK_C=16, BLOCK_H=4, BLOCK_W=8)
    for kernel, own in ((sum_kernel, dict(GATED=flag)), (gate_kernel, dict(ADDED=flag))):
        constants = own | shared
        types = dict.fromkeys(kernel.arg_names, 'i32') | dict.fromkeys(constants, 'constexpr')
        maps = {'x', 'g', 'gate_h', 'gate_w', 'add_h', 'add_w', 'out', 'out_h', 'out_w'}
        types |= dict.fromkeys(maps & types.keys(), '*bf16')
        types |= dict.fromkeys(('scale_h', 'scale_w'), 'fp32')
        source = ASTSource(fn=kernel, signature=types, constexprs=constants)
        code = triton.compile(source, target=GPUTarget('cuda', capability, 32)).asm['ptx']
        assert f'.target sm_{capability}' in code
        # Nothing is added up in an order that differs from run to run.
        assert 'atom.' not in code and 'red.global' not in code


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA GPU')
def test_a_gpu_has_them():
    from mmca.ops.implementation import kernels_for, use_implementation

    with use_implementation('triton'):
        assert kernels_for(torch.zeros(1, 1, 1, 1, device='cuda')) is not None
    with use_implementation('auto'):  # small maps: the plain expression has less to start
        assert kernels_for(torch.zeros(1, 1, 1, 1, device='cuda')) is None
        assert kernels_for(torch.zeros(1, 64, 512, 512, device='cuda')) is not None
