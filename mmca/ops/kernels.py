"""The two sets of kernels behind one interface, with profiles (N, C, H) and (N, C, W).

- ``dual_pool(x)``: means over the width and over the height
- ``gate(x, gate_h, gate_w)``: ``x * gate_w * gate_h``
- ``gate_gradients(g, x, gate_h, gate_w)``: the gradients of both gates
- ``gate_gradients_and_output(...)``: the same, and what ``gate`` makes
- ``input_gradient(g, gate_h, gate_w, grad_pool_h, grad_pool_w, overwrite=False)``: the gradient
  of x through gate and pools, in place of ``g`` where that is allowed and possible

Maps are dense in either memory format, ``g`` in that of ``x``.
"""

import time

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmca.ops.build import build_in_time, library_path
from mmca.ops.neighbours import Entry, Exit


def built() -> str | None:
    """The instruction set whose C++ library is there and runs on this machine, if any."""
    if library_path('native').is_file():
        return 'native'
    # torch looks for the same instructions before it takes its own kernels of this level.
    has_avx2 = torch.backends.cpu.get_cpu_capability() in ('AVX2', 'AVX512')
    return 'avx2' if has_avx2 and library_path('avx2').is_file() else None


class CppKernels:
    """C++ kernels for the CPU; profiles in float32, for float64 maps in float64.

    Beyond the interface, for the whole block: ``forward`` and ``backward``, and ``block`` for
    inference (see ``cpp/operators.cpp``).

    Args:
        arch (str | None): ``'native'`` or ``'avx2'``, which must be built; None for what is
            built, and if nothing is, compile for this machine.

    Raises:
        BuildError: If the library cannot be built.
        OSError: If it cannot be loaded.
    """

    device = 'cpu'
    dtypes = (torch.float32, torch.float64, torch.bfloat16)
    has_block = True

    def __init__(self, arch: str | None = None) -> None:
        arch = arch or built()
        if arch is None:
            start = time.perf_counter()
            build_in_time('native')
            seconds = time.perf_counter() - start
            print_log(
                f'mmca compiled its kernels for this machine in {seconds:.0f} s, once', 'current'
            )
            arch = 'native'
        torch.ops.load_library(str(library_path(arch)))
        operators = getattr(torch.ops, f'mmca_{arch}')
        self.dual_pool = operators.dual_pool.default
        self.gate = operators.gate.default
        self.gate_gradients = operators.gate_gradients.default
        self.gate_gradients_and_output = operators.gate_gradients_and_output.default
        self.forward = operators.forward.default
        self.backward = operators.backward.default
        self._block = operators.block.default
        self._block_projected = operators.block_projected.default
        self._input_gradient = operators.input_gradient.default

    def block(
        self,
        x: Tensor,
        entry: Entry,
        parameters: list,
        running: list,
        epsilon: float,
        ending: Exit | None = None,
    ) -> Tensor:
        """What ``ending`` makes of the gated map, or that map.

        With an entry x is overwritten: it is the caller's to spoil.
        """
        settings = entry.norm, entry.epsilon, entry.clamp, parameters, running, epsilon
        if ending is not None:
            return self._block_projected(x, *settings, *ending)
        out = x if entry.clamp else torch.empty_like(x)
        self._block(x, *settings, out)
        return out

    def input_gradient(
        self,
        g: Tensor,
        gate_h: Tensor,
        gate_w: Tensor,
        grad_pool_h: Tensor,
        grad_pool_w: Tensor,
        overwrite: bool = False,
    ) -> Tensor:
        out = g if overwrite else torch.empty_like(g)
        self._input_gradient(g, gate_h, gate_w, grad_pool_h, grad_pool_w, out)
        return out


class TritonKernels:
    """Triton's kernels for CUDA; profiles in the map's dtype.

    Raises:
        ImportError: If Triton is not installed.
    """

    device = 'cuda'
    dtypes = (torch.float32, torch.float16, torch.bfloat16)
    has_block = False

    def __init__(self) -> None:
        from mmca.ops import triton_kernels

        self.dual_pool = triton_kernels.dual_pool
        self.gate = triton_kernels.gate
        self.gate_gradients = triton_kernels.gate_gradients
        self.input_gradient = triton_kernels.input_gradient

    def gate_gradients_and_output(
        self, g: Tensor, x: Tensor, gate_h: Tensor, gate_w: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return *self.gate_gradients(g, x, gate_h, gate_w), self.gate(x, gate_h, gate_w)
