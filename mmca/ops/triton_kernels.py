"""Triton kernels for CUDA: one that sums a map's rows and columns, one that works point by point.

The attention is bound by memory traffic, so each kernel reads the map once, computes in float32 and
rounds once. Nothing is added up by atomics: equal inputs give equal bits. A program has some
channels (BLOCK_C) of one image and all of its width: tiles of BLOCK_H rows, one after another where
it sums. Importing this raises ImportError where Triton is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

from mmca.ops.reference import gates as gates_of_pools

if TYPE_CHECKING:
    from mmca.ops.layer import AttentionLayers

# With Triton's 4 warps, 4096 elements are 32 a thread: 4 or 8 loads of 16 bytes under way at once.
TILE = 4096


@triton.jit
def _offsets(channels, height, width, units, CHANNELS_LAST: tl.constexpr, ALIGNMENT: tl.constexpr):
    """Strides of a map and of its profiles: image, channel, row, column; channel, position.

    The adjacent axis has units * ALIGNMENT elements: the product tells the compiler a factor of the
    strides, without which it would load one element at a time.
    """
    if CHANNELS_LAST:
        channels = units * ALIGNMENT
        return height * width * channels, 1, width * channels, channels, 1, 1, channels
    width = units * ALIGNMENT
    return channels * height * width, height * width, width, 1, height, width, 1


# fmt: off
@triton.jit
def sum_kernel(
    x, g, gate_h, gate_w, out_h, out_w, scale_h, scale_w, channels, height, width, units,
    GATED: tl.constexpr, CHANNELS_LAST: tl.constexpr, ALIGNMENT: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: on
    """Sums of x along each row and each column; GATED: of g * x * the other axis's gate."""
    s_n, s_c, s_h, s_w, h_c, w_c, s_p = _offsets(
        channels, height, width, units, CHANNELS_LAST, ALIGNMENT
    )
    n = tl.program_id(1).to(tl.int64)
    c = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    w = tl.arange(0, BLOCK_W)
    in_w = (c < channels)[:, None] & (w < width)[None, :]
    at_w = n * channels * width + c[:, None] * w_c + w[None, :] * s_p
    if GATED:
        by_w = tl.load(gate_w + at_w, mask=in_w, other=0.0).to(tl.float32)[:, None, :]
    # Added up across rows tile by tile; across threads only once, at the end.
    columns = tl.zeros((BLOCK_C, BLOCK_H, BLOCK_W), dtype=tl.float32)
    for first in range(0, height, BLOCK_H):
        h = first + tl.arange(0, BLOCK_H)
        inside = in_w[:, None, :] & (h < height)[None, :, None]
        at = n * s_n + c[:, None, None] * s_c + h[None, :, None] * s_h + w[None, None, :] * s_w
        value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        in_h = (c < channels)[:, None] & (h < height)[None, :]
        at_h = n * channels * height + c[:, None] * h_c + h[None, :] * s_p
        if GATED:
            value *= tl.load(g + at, mask=inside, other=0.0).to(tl.float32)
            by_h = tl.load(gate_h + at_h, mask=in_h, other=0.0).to(tl.float32)[:, :, None]
            columns += value * by_h
            value *= by_w
        else:
            columns += value
        row_sums = tl.sum(value, axis=2) * scale_h
        tl.store(out_h + at_h, row_sums.to(out_h.dtype.element_ty), mask=in_h)
    column_sums = tl.sum(columns, axis=1) * scale_w
    tl.store(out_w + at_w, column_sums.to(out_w.dtype.element_ty), mask=in_w)


# fmt: off
@triton.jit
def gate_kernel(
    x, gate_h, gate_w, add_h, add_w, out, scale_h, scale_w, channels, height, width, units,
    ADDED: tl.constexpr, CHANNELS_LAST: tl.constexpr, ALIGNMENT: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: on
    """x * gate_w * gate_h; ADDED: plus add_h * scale_h + add_w * scale_w. out may be x."""
    s_n, s_c, s_h, s_w, h_c, w_c, s_p = _offsets(
        channels, height, width, units, CHANNELS_LAST, ALIGNMENT
    )
    n = tl.program_id(1).to(tl.int64)
    c = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    h = tl.program_id(2) * BLOCK_H + tl.arange(0, BLOCK_H)
    w = tl.arange(0, BLOCK_W)
    in_w = (c < channels)[:, None] & (w < width)[None, :]
    in_h = (c < channels)[:, None] & (h < height)[None, :]
    inside = in_w[:, None, :] & in_h[:, :, None]
    at_w = n * channels * width + c[:, None] * w_c + w[None, :] * s_p
    at_h = n * channels * height + c[:, None] * h_c + h[None, :] * s_p
    at = n * s_n + c[:, None, None] * s_c + h[None, :, None] * s_h + w[None, None, :] * s_w
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    value *= tl.load(gate_w + at_w, mask=in_w, other=0.0).to(tl.float32)[:, None, :]
    value *= tl.load(gate_h + at_h, mask=in_h, other=0.0).to(tl.float32)[:, :, None]
    if ADDED:
        value += tl.load(add_h + at_h, mask=in_h, other=0.0).to(tl.float32)[:, :, None] * scale_h
        value += tl.load(add_w + at_w, mask=in_w, other=0.0).to(tl.float32)[:, None, :] * scale_w
    tl.store(out + at, value.to(out.dtype.element_ty), mask=inside)


def _layout(x: Tensor) -> tuple[tuple[int, ...], dict[str, int]]:
    """The map's sizes, and what is compiled for: its format, and the tile of a program."""
    _, channels, height, width = x.shape
    channels_last = not x.is_contiguous()
    inner = channels if channels_last else width
    block_w = triton.next_power_of_2(width)
    room = max(1, TILE // block_w)
    # channels_last: 16 channels at least, so that adjacent ones fill what memory delivers; NCHW:
    # several small maps, one large one.
    least = 16 if channels_last else 1
    block_h = min(max(1, room // least), 64, triton.next_power_of_2(height))
    block_c = min(max(least, room // block_h), 64, triton.next_power_of_2(channels))
    alignment = min(16, inner & -inner)  # the largest power of two that divides it
    tile = dict(BLOCK_C=block_c, BLOCK_H=block_h, BLOCK_W=block_w)
    sizes = channels, height, width, inner // alignment
    return sizes, dict(CHANNELS_LAST=channels_last, ALIGNMENT=alignment, **tile)


def _profile(values: Tensor, x: Tensor) -> Tensor:
    """(N, C, L), stored in the map's order."""
    return (values if x.is_contiguous() else values.transpose(1, 2)).contiguous()


def sums(x: Tensor, *gated: Tensor) -> tuple[Tensor, Tensor]:
    """Means of a dense map along its width, (N, C, H), and along its height, (N, C, W).

    With ``gated``, the gradient of :func:`gate` for its output and its gates: those for its gates.
    """
    n, c, height, width = x.shape
    sizes, constants = _layout(x)
    inputs = [gated[0], *(_profile(t, x) for t in gated[1:])] if gated else [x, x, x]
    outs = [
        x.new_empty((n, length, c) if constants['CHANNELS_LAST'] else (n, c, length), dtype=t.dtype)
        for length, t in zip((height, width), inputs[1:])
    ]
    scales = (1.0, 1.0) if gated else (1 / width, 1 / height)
    grid = (triton.cdiv(c, constants['BLOCK_C']), n)
    with torch.cuda.device_of(x):  # Triton launches on the current one
        sum_kernel[grid](x, *inputs, *outs, *scales, *sizes, GATED=bool(gated), **constants)
    return tuple(out.transpose(1, 2) if constants['CHANNELS_LAST'] else out for out in outs)


def gate(
    x: Tensor, gate_h: Tensor, gate_w: Tensor, *added: Tensor, out: Tensor | None = None
) -> Tensor:
    """``x * gate_w * gate_h``, plus the gradients of the means, if given, spread over the map."""
    n, c, height, width = x.shape
    sizes, constants = _layout(x)
    out = torch.empty_like(x) if out is None else out
    profiles = [_profile(t, x) for t in (gate_h, gate_w, *(added or (gate_h, gate_w)))]
    grid = (triton.cdiv(c, constants['BLOCK_C']), n, triton.cdiv(height, constants['BLOCK_H']))
    scales = 1 / width, 1 / height
    with torch.cuda.device_of(x):
        gate_kernel[grid](x, *profiles, out, *scales, *sizes, ADDED=bool(added), **constants)
    return out


class TritonKernels:
    """Maps of float32, float16 and bfloat16; profiles in the map's type.

    Between pools and gates the attention's own layers run, whatever they are, so batch norm may be
    synchronised there.
    """

    device = 'cuda'
    dtypes = (torch.float32, torch.float16, torch.bfloat16)
    fuse_around = False
    least_elements = 1 << 24

    def accepts(self, attention: AttentionLayers) -> bool:
        return True

    def weights(self, attention: AttentionLayers) -> tuple[Tensor, ...]:
        return tuple(attention.parameters())

    def forward(
        self, x: Tensor, attention: AttentionLayers, weights: tuple, relu6: bool
    ) -> tuple[Tensor, tuple, tuple]:
        """The gated map; backward goes through the graph of the gates, which is kept."""
        z = [pool.detach().requires_grad_() for pool in sums(x)]
        with torch.enable_grad():
            graph = self._gates(attention, *z)
        return gate(x, *(one.detach() for one in graph)), (), (z, graph)

    def infer(self, x: Tensor, attention: AttentionLayers) -> Tensor:
        """The gated map alone."""
        return gate(x, *self._gates(attention, *sums(x)))

    @staticmethod
    def _gates(attention: AttentionLayers, z_h: Tensor, z_w: Tensor) -> tuple[Tensor, Tensor]:
        maps = attention.squeeze, attention.expand_h, attention.expand_w
        g_h, g_w = gates_of_pools(z_h.unsqueeze(3), z_w.unsqueeze(2), *maps)
        return g_h.squeeze(3), g_w.squeeze(2)

    def backward(
        self,
        g: Tensor,
        x: Tensor,
        weights: tuple,
        kept: tuple,
        state: tuple,
        relu6: bool,
        grad_x: Tensor,
        gated: Tensor | None,
    ) -> list[Tensor]:
        """As that of :class:`~mmca.ops.cpp_kernels.CppKernels`."""
        z, graph = state
        gates = [one.detach() for one in graph]
        if gated is not None:
            gate(x, *gates, out=gated)
        inputs = [*z, *(weight for weight in weights if weight.requires_grad)]
        found = torch.autograd.grad(graph, inputs, sums(x, g, *gates), retain_graph=True)
        gate(g, *gates, *found[:2], out=grad_x)
        gradients = iter(found[2:])
        return [next(gradients) if weight.requires_grad else None for weight in weights]
