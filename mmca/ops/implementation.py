"""Which implementation of coordinate attention runs: the one switch.

Environment variable ``MMCA_ATTENTION``, or :func:`use_implementation` in a program:

- ``auto`` (default): C++ kernels on the CPU, Triton's on CUDA, each if it works there
- ``plain``: the plain PyTorch expression
- ``cpp``, ``triton``: that one on its device, the plain expression on the other

What cannot be built, or computes wrongly in a first small trial, is left out with one log line.
Whatever watches or transforms PyTorch's operators sees the plain expression, too: tracing,
``torch.compile``, ONNX export, counting operations, ``torch.func``, forward-mode derivatives.
"""

import contextlib
import logging
import os
from collections.abc import Iterator

import torch
from mmengine.logging import print_log
from torch import Tensor
from torch.autograd import forward_ad

from mmca.ops import build
from mmca.ops.kernels import CppKernels, TritonKernels, built
from mmca.ops.trial import try_out

CHOICES = ('auto', 'plain', 'cpp', 'triton')
_OF_DEVICE = {'cpu': 'cpp', 'cuda': 'triton'}

_override: str | None = None
_loaded: dict[str, CppKernels | TritonKernels | str] = {}

if hasattr(torch.compiler, 'is_compiling'):
    is_compiling = torch.compiler.is_compiling
else:  # torch 2.1
    is_compiling = torch._utils.is_compiling


def setting() -> str:
    """The choice in force.

    Raises:
        ValueError: If ``MMCA_ATTENTION`` is not one of the choices.
    """
    name = _override or os.environ.get('MMCA_ATTENTION', 'auto')
    if name not in CHOICES:
        raise ValueError(f'MMCA_ATTENTION={name!r} is not one of {", ".join(CHOICES)}')
    return name


@contextlib.contextmanager
def use_implementation(name: str) -> Iterator[None]:
    """Within the ``with`` block, choose as ``MMCA_ATTENTION=name`` does, for all threads.

    Raises:
        ValueError: If ``name`` is not one of the choices.
    """
    global _override
    if name not in CHOICES:
        raise ValueError(f'use_implementation: {name!r} is not one of {", ".join(CHOICES)}')
    former, _override = _override, name
    try:
        yield
    finally:
        _override = former


def describe(device: str | torch.device = 'cpu') -> tuple[str, str]:
    """Name of the implementation on ``device``, and why; compiles no C++."""
    name = _OF_DEVICE.get(torch.device(device).type, 'plain')
    if name == 'plain':
        return name, f'there are no kernels for {device}'
    if setting() not in ('auto', name):
        return 'plain', f'MMCA_ATTENTION={setting()}'
    if name == 'cpp' and not isinstance(_loaded.get(name), str):
        if (arch := built()) is not None:
            return name, f'{arch} kernels in {build.library_path(arch).parent}'
        if (tool := build.missing_tool()) is not None:
            return 'plain', f'no kernels are built, and {tool} is not installed'
        return name, 'compiled at first use, or by: python -m mmca.ops.build'
    kernels = _kernels(name)
    return ('plain', kernels) if isinstance(kernels, str) else (name, 'its kernels work')


def kernels_for(x: Tensor) -> CppKernels | TritonKernels | None:
    """The kernels for the map ``x``, None for the plain expression."""
    if is_compiling() or torch.jit.is_tracing() or type(x) is not Tensor or _is_watched():
        return None
    name = _OF_DEVICE.get(x.device.type)
    if name is None or x.dim() != 4 or x.numel() == 0 or setting() not in ('auto', name):
        return None
    kernels = _kernels(name)
    return None if isinstance(kernels, str) or x.dtype not in kernels.dtypes else kernels


def _is_watched() -> bool:
    return (
        torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
    )


def _kernels(name: str) -> CppKernels | TritonKernels | str:
    """The kernels, or the reason why there are none; tried once in a process."""
    if name not in _loaded:
        try:
            kernels = CppKernels() if name == 'cpp' else TritonKernels()
            with torch.no_grad(), torch.autocast(kernels.device, enabled=False):
                try_out(kernels)
            _loaded[name] = kernels
        except Exception as error:  # whatever it is: attention works without
            lines = str(error).splitlines() or [type(error).__name__]
            _loaded[name] = lines[0]
            print_log(
                f'mmca runs coordinate attention without its {name} kernels: {lines[0]}',
                'current',
                logging.WARNING,
            )
    return _loaded[name]
