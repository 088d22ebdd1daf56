"""The passes of coordinate attention over the map as Triton kernels, for CUDA.

The block is bound by memory traffic, so each function reads the map once, computes in float32 and
rounds once. Nothing is added up by atomics: equal inputs give equal bits. Maps are float32, float16
or bfloat16, NCHW or channels_last, (N, C, H, W) with H, W >= 1; results keep dtype and format,
profiles too: (N, C, H) and (N, C, W) of a channels_last map are stored with C last.
Blocks follow from the shape and nothing is tuned at run time; Triton's cache on disk keeps what it
compiled (about 1 s for a new kind of shape).

Importing this module raises ImportError where Triton is missing. The functions are not registered
as operators: ``torch.compile`` has to see the plain expression instead (to trace these, they would
have to be wrapped with ``torch.library``).
"""

import contextlib
import functools
from typing import NamedTuple

import torch
from torch import Tensor

from .triton_tiles import apply_gates, sum_profiles

# With Triton's 4 warps, 4096 elements are 32 a thread: 4 or 8 loads of 16 bytes under way at once.
# Compiled for sm_90 nothing spills, and registers allow 7 or more programs on a multiprocessor in
# NCHW, 2 to 5 in channels_last. Passes without sums need no large tiles; smaller ones leave less
# of the GPU idle at the end. Chosen from the compiled code, not yet from timings.
SUMMED_TILE = 4096
POINTWISE_TILE = 2048
# Rows this long are summed by one program; longer ones in parts. Channels that are read together
# then still fill the 32 bytes that memory delivers at least.
WHOLE_WIDTH = {False: 512, True: 256}
# About 4 programs for each of an H100's or H200's 132 multiprocessors. Not read from the device:
# sums are in the same order on any.
PROGRAMS = 512
# Parts of a map's height keep this many tiles, as adding up the parts costs two launches.
LEAST_STEPS = 4


def dual_pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """Means of ``x`` along its width, (N, C, H), and along its height, (N, C, W), in its dtype."""
    return _profiles(x, x.dtype, x.dtype)


def gate(x: Tensor, gate_h: Tensor, gate_w: Tensor) -> Tensor:
    """``x * gate_w * gate_h`` in x's dtype and format; gates (N, C, H) and (N, C, W), any dtype."""
    return _gated(x, gate_h, gate_w)


def gate_gradients(g: Tensor, x: Tensor, gate_h: Tensor, gate_w: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of ``gate`` for its gates, in their dtypes; ``g`` is that of its output."""
    return _profiles(x, gate_h.dtype, gate_w.dtype, g, gate_h, gate_w)


def input_gradient(
    g: Tensor,
    gate_h: Tensor,
    gate_w: Tensor,
    grad_pool_h: Tensor,
    grad_pool_w: Tensor,
    overwrite: bool = False,
) -> Tensor:
    """Gradient of the block's input, through ``gate`` and ``dual_pool``, like ``g``; or in it."""
    return _gated(g, gate_h, gate_w, grad_pool_h, grad_pool_w, overwrite)


class _Layout(NamedTuple):
    """A map as ``batch`` blocks of (planes, height, width), see `mmca.ops.triton_tiles`."""

    batch: int
    planes: int
    height: int
    width: int
    channels_last: bool

    @property
    def inner(self) -> int:
        """How many elements are adjacent: a row's or a pixel's."""
        return self.planes if self.channels_last else self.width

    @property
    def alignment(self) -> int:
        """The largest power of two up to 16 that divides `inner`."""
        return min(16, self.inner & -self.inner)

    @property
    def units(self) -> int:
        return self.inner // self.alignment


def _dense(x: Tensor) -> tuple[Tensor, _Layout]:
    """The map without gaps, in the format that it has or comes closest to."""
    channels_last = not x.is_contiguous() and x.stride(1) < x.stride(3)
    x = _in_format(x, channels_last)
    batch, channels, height, width = x.shape
    if channels_last:
        return x, _Layout(batch, channels, height, width, True)
    return x, _Layout(1, batch * channels, height, width, False)


def _in_format(x: Tensor, channels_last: bool) -> Tensor:
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    return x.contiguous(memory_format=memory_format)


def _profile(values: Tensor, layout: _Layout) -> Tensor:
    """(N, C, L), stored in the map's order."""
    return (values.transpose(1, 2) if layout.channels_last else values).contiguous()


def _fit(size: int, least: int, most: int) -> int:
    """The largest power of two in a range that pads ``size`` by 15% at most, or else by least."""
    blocks = [1 << power for power in range(least.bit_length() - 1, most.bit_length())]
    padded = {block: -(-size // block) * block for block in blocks}
    limit = max(min(padded.values()), size * 1.15)
    return max(block for block in blocks if padded[block] <= limit)


def _power_of_two(size: int) -> int:
    """The least power of two that is not below ``size``."""
    return 1 << (size - 1).bit_length()


class _Cut(NamedTuple):
    """How `sum_profiles` divides a map: blocks, tiles per program, parts and programs."""

    block_p: int
    block_h: int
    block_w: int
    steps: int
    parts_h: int
    parts_w: int
    programs: int


@functools.lru_cache(maxsize=1024)
def _cut(layout: _Layout, itemsize: int) -> _Cut:
    """Whole rows where possible, as few parts as keep the GPU busy."""
    _, planes, height, width, channels_last = layout
    whole = WHOLE_WIDTH[channels_last]
    block_w = _power_of_two(width) if width <= whole else _fit(width, 32, whole)
    parts_w = -(-width // block_w)
    room = SUMMED_TILE // block_w

    def fit_height(room: int) -> int:
        most = min(room, _power_of_two(height))
        return _fit(height, min(8, most), most)

    if channels_last:
        # 32 bytes of channels at least, 64 channels at most.
        least_p = min(32 // itemsize, _power_of_two(planes))
        block_p = _fit(planes, least_p, max(least_p, min(64, room)))
    else:
        # Small maps: several to a program.
        least_p = 1
        block_h = fit_height(room)
        block_p = min(room // block_h, _power_of_two(planes))

    def programs() -> int:
        return layout.batch * -(-planes // block_p) * parts_w

    while block_p > least_p and programs() < PROGRAMS:
        block_p //= 2
    block_h = fit_height(room // block_p)
    steps = -(-height // block_h)
    parts_h = max(1, min(PROGRAMS // max(1, programs()), steps // LEAST_STEPS))
    steps = -(-steps // parts_h)
    parts_h = -(-height // (block_h * steps))
    return _Cut(block_p, block_h, block_w, steps, parts_h, parts_w, programs() * parts_h)


def _profiles(
    x: Tensor,
    dtype_h: torch.dtype,
    dtype_w: torch.dtype,
    g: Tensor | None = None,
    gate_h: Tensor | None = None,
    gate_w: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Means of ``x``, or with ``g`` and gates their gradients."""
    x, layout = _dense(x)
    cut = _cut(layout, x.element_size())
    parts_h = _empty_profiles(x, layout, x.shape[2], cut.parts_w, dtype_h)
    parts_w = _empty_profiles(x, layout, x.shape[3], cut.parts_h, dtype_w)
    if g is None:
        # Unused by the kernel.
        inputs = x, x, x
        scales = 1 / layout.width, 1 / layout.height
    else:
        g = _in_format(g, layout.channels_last)
        inputs = g, _profile(gate_h, layout), _profile(gate_w, layout)
        scales = 1.0, 1.0
    with _device_of(x):
        sum_profiles[(cut.programs,)](
            x,
            *inputs,
            parts_h,
            parts_w,
            *scales,
            parts_h[0].numel(),
            parts_w[0].numel(),
            layout.planes,
            layout.height,
            layout.width,
            layout.units,
            cut.steps,
            cut.parts_h,
            cut.parts_w,
            GATED=g is not None,
            CHANNELS_LAST=layout.channels_last,
            ALIGNMENT=layout.alignment,
            BLOCK_P=cut.block_p,
            BLOCK_H=cut.block_h,
            BLOCK_W=cut.block_w,
        )
    return _total(parts_h, layout, dtype_h), _total(parts_w, layout, dtype_w)


def _empty_profiles(
    x: Tensor, layout: _Layout, length: int, parts: int, dtype: torch.dtype
) -> Tensor:
    """One profile for each part of the map, in float32 if they are still to be added up."""
    batch, channels = x.shape[:2]
    shape = (batch, length, channels) if layout.channels_last else (batch, channels, length)
    return x.new_empty((parts, *shape), dtype=dtype if parts == 1 else torch.float32)


def _total(parts: Tensor, layout: _Layout, dtype: torch.dtype) -> Tensor:
    total = parts[0] if len(parts) == 1 else parts.sum(0).to(dtype)
    return total.transpose(1, 2) if layout.channels_last else total


def _gated(
    x: Tensor,
    gate_h: Tensor,
    gate_w: Tensor,
    add_h: Tensor | None = None,
    add_w: Tensor | None = None,
    overwrite: bool = False,
) -> Tensor:
    """``x`` times the gates, plus the gradients of the means, if given, spread over the map."""
    x, layout = _dense(x)
    out = x if overwrite else torch.empty_like(x)
    rows = x.numel() // layout.inner
    block_c = _fit(layout.inner, min(8, _power_of_two(layout.inner)), 256)
    block_r = POINTWISE_TILE // block_c
    programs = -(-rows // block_r) * -(-layout.inner // block_c)
    gates = _profile(gate_h, layout), _profile(gate_w, layout)
    added = gates if add_h is None else (_profile(add_h, layout), _profile(add_w, layout))
    with _device_of(x):
        apply_gates[(programs,)](
            x,
            *gates,
            *added,
            out,
            1 / layout.width,
            1 / layout.height,
            rows,
            layout.height,
            layout.width,
            layout.units,
            ADDED=add_h is not None,
            CHANNELS_LAST=layout.channels_last,
            ALIGNMENT=layout.alignment,
            BLOCK_R=block_r,
            BLOCK_C=block_c,
        )
    return out


def _device_of(x: Tensor) -> contextlib.AbstractContextManager:
    """Triton launches on the current device, which need not be the tensor's."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()
