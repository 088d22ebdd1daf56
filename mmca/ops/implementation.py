"""Which implementation of coordinate attention runs: the one switch.

Environment variable ``MMCA_ATTENTION``, or :func:`use_implementation` in a program:

- ``auto`` (default): C++ kernels on the CPU, Triton's on CUDA, each if it works there
- ``cpp``, ``triton``: that one on its device, the plain expression on the other
- ``plain``: the plain PyTorch expression, which also runs, with one log line, where kernels cannot
  be built or compute wrongly when they are first tested, and where something watches or transforms
  PyTorch's operators: tracing, ``torch.compile``, export, counting, ``torch.func``
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.modules import module as nn_module

from mmca.ops import build
from mmca.ops.cpp_kernels import CppKernels
from mmca.ops.self_test import check_kernels

if TYPE_CHECKING:
    from mmca.ops.triton_kernels import TritonKernels

CHOICES = ('auto', 'plain', 'cpp', 'triton')
_OF_DEVICE = {'cpu': 'cpp', 'cuda': 'triton'}
_KINDS = 'forward', 'forward_pre', 'backward', 'backward_pre'
_GLOBAL_HOOKS = [getattr(nn_module, f'_global_{kind}_hooks') for kind in _KINDS]
_logger = logging.getLogger('mmca')

_override: str | None = None
_loaded: dict[str, CppKernels | TritonKernels | str] = {}

# The second is torch 2.1's.
is_compiling = getattr(torch.compiler, 'is_compiling', None) or torch._utils.is_compiling


def _autocast_dtype(device: str) -> torch.dtype | None:
    """The type in which convolutions run on a device under autocast; None without."""
    if hasattr(torch, 'get_autocast_dtype'):
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    if device == 'cuda':  # torch 2.1
        return torch.get_autocast_gpu_dtype() if torch.is_autocast_enabled() else None
    return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None


def setting() -> str:
    """The choice in force; a ValueError if ``MMCA_ATTENTION`` is not one of the choices."""
    name = _override or os.environ.get('MMCA_ATTENTION', 'auto')
    if name not in CHOICES:
        raise ValueError(f'MMCA_ATTENTION={name!r} is not one of {", ".join(CHOICES)}')
    return name


@contextlib.contextmanager
def use_implementation(name: str) -> Iterator[None]:
    """Within the ``with`` block, choose as ``MMCA_ATTENTION=name`` does, for all threads."""
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
        if arch := build.built():
            return name, f'{arch} kernels in {build.library_path(arch).parent}'
        if tool := build.missing_tool():
            return 'plain', f'no kernels are built, and {tool} is not installed'
        return name, 'compiled at first use, or by: python -m mmca.ops.build'
    kernels = _kernels(name)
    return ('plain', kernels) if isinstance(kernels, str) else (name, 'its kernels work')


def kernels_for(x: Tensor) -> CppKernels | TritonKernels | None:
    """The kernels for the map ``x`` (N, C, H, W), None for the plain expression."""
    if is_compiling() or torch.jit.is_tracing() or type(x) is not Tensor or _is_watched():
        return None
    device = x.device.type
    name = _OF_DEVICE.get(device)
    if name is None or x.dim() != 4 or x.numel() == 0 or setting() not in ('auto', name):
        return None
    kernels = _kernels(name)
    if isinstance(kernels, str) or x.dtype not in kernels.dtypes:
        return None
    if setting() == 'auto' and x.numel() < kernels.least_elements:
        return None
    return kernels if _autocast_dtype(device) in (None, *kernels.dtypes) else None


def _is_watched() -> bool:
    return (
        torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
        or any(_GLOBAL_HOOKS)
    )


def _kernels(name: str) -> CppKernels | TritonKernels | str:
    """The kernels, or the reason why there are none; loaded and tested once in a process."""
    if name not in _loaded:
        try:
            if name == 'cpp':
                kernels = CppKernels(build.built() or 'native')
            else:
                from mmca.ops import triton_kernels  # without Triton an ImportError

                kernels = triton_kernels.TritonKernels()
            check_kernels(kernels)
            _loaded[name] = kernels
        except Exception as error:  # whatever it is: attention works without
            _loaded[name] = reason = (str(error).splitlines() or [type(error).__name__])[0]
            _logger.warning(f'mmca runs coordinate attention without its {name} kernels: {reason}')
    return _loaded[name]
