"""Device code of `mmca.ops.triton_kernels`: one kernel that sums, one that works point by point.

Both memory formats share them. A map is `batch` blocks of (planes, height, width): NCHW is one
block of N * C planes with adjacent columns, channels_last is N blocks of C planes with adjacent
planes (channels). Profiles are stored in the map's order without the other axis. Offsets that can
pass 2**31 elements are int64. Written for Triton 2.1 and later.
"""

import triton
import triton.language as tl


@triton.jit
def sum_profiles(
    x,
    g,
    gate_h,
    gate_w,
    out_h,
    out_w,
    scale_h,
    scale_w,
    size_h,
    size_w,
    planes,
    height,
    width,
    units,
    steps,
    parts_h,
    parts_w,
    GATED: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    ALIGNMENT: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
):
    """Sum x along each row (out_h) and each column (out_w); GATED: g * x * the other axis's gate.

    One program takes BLOCK_P planes, one part of the height (`steps` tiles of BLOCK_H rows) and one
    of the width (BLOCK_W). Its sums go to that part's profile in out_h (parts_w, size_h) and out_w
    (parts_h, size_w). The adjacent axis has units * ALIGNMENT elements.
    """
    program = tl.program_id(0)
    parts = parts_h * parts_w
    # Neighbouring programs read neighbouring memory. The product tells the compiler a factor of
    # the strides, without which it would load one element at a time.
    if CHANNELS_LAST:
        planes = units * ALIGNMENT
        blocks = tl.cdiv(planes, BLOCK_P)
        block, part = program % blocks, program // blocks % parts
        image = (program // blocks // parts).to(tl.int64)
        stride_p, stride_h, stride_w = 1, width * planes, planes
        h_stride_p, w_stride_p, profile_stride = 1, 1, planes
        start = image * height * stride_h
        start_h, start_w = image * height * planes, image * width * planes
    else:
        width = units * ALIGNMENT
        block, part = program // parts, program % parts
        stride_p, stride_h, stride_w = height * width, width, 1
        h_stride_p, w_stride_p, profile_stride = height, width, 1
        start, start_h, start_w = 0, 0, 0
    part_h, part_w = part // parts_w, part % parts_w
    p = block.to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    w = part_w * BLOCK_W + tl.arange(0, BLOCK_W)
    rows = tl.arange(0, BLOCK_H)
    p_in, w_in = p < planes, w < width
    at = start + p[:, None, None] * stride_p + w[None, None, :] * stride_w
    at += rows[None, :, None] * stride_h
    at_w = start_w + p[:, None] * w_stride_p + w[None, :] * profile_stride
    at_w_in = p_in[:, None] & w_in[None, :]
    if GATED:
        by_w = tl.load(gate_w + at_w, mask=at_w_in, other=0.0).to(tl.float32)[:, None, :]
    # Added up across rows tile by tile; across threads only once, at the end.
    columns = tl.zeros((BLOCK_P, BLOCK_H, BLOCK_W), dtype=tl.float32)
    for step in range(steps):
        first = (part_h * steps + step) * BLOCK_H
        h = first + rows
        inside = at_w_in[:, None, :] & (h < height)[None, :, None]
        tile = first.to(tl.int64) * stride_h + at
        value = tl.load(x + tile, mask=inside, other=0.0).to(tl.float32)
        at_h = start_h + p[:, None] * h_stride_p + h[None, :] * profile_stride
        at_h_in = p_in[:, None] & (h < height)[None, :]
        if GATED:
            value *= tl.load(g + tile, mask=inside, other=0.0).to(tl.float32)
            by_h = tl.load(gate_h + at_h, mask=at_h_in, other=0.0).to(tl.float32)[:, :, None]
            columns += value * by_h
            value *= by_w
        else:
            columns += value
        row_sums = (tl.sum(value, axis=2) * scale_h).to(out_h.dtype.element_ty)
        tl.store(out_h + part_w.to(tl.int64) * size_h + at_h, row_sums, mask=at_h_in)
    column_sums = (tl.sum(columns, axis=1) * scale_w).to(out_w.dtype.element_ty)
    tl.store(out_w + part_h.to(tl.int64) * size_w + at_w, column_sums, mask=at_w_in)


@triton.jit
def apply_gates(
    x,
    gate_h,
    gate_w,
    add_h,
    add_w,
    out,
    scale_h,
    scale_w,
    rows,
    height,
    width,
    units,
    ADDED: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    ALIGNMENT: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """x * gate_w * gate_h; ADDED: plus add_h * scale_h + add_w * scale_w.

    One program takes BLOCK_R rows of BLOCK_C of the units * ALIGNMENT adjacent elements. A row is
    one of the map's in NCHW (of N * C * H) and a pixel in channels_last (of N * H * W).
    """
    inner = units * ALIGNMENT
    blocks = tl.cdiv(inner, BLOCK_C)
    program = tl.program_id(0)
    column = program % blocks * BLOCK_C + tl.arange(0, BLOCK_C)[None, :]
    row = (program // blocks).to(tl.int64) * BLOCK_R + tl.arange(0, BLOCK_R)
    row_in = (row < rows)[:, None]
    inside = row_in & (column < inner)
    # Divisions in 32 bits, which are several times as fast: rows alone stay below 2**31.
    row32 = row.to(tl.int32)
    if CHANNELS_LAST:
        at_h = (row32 // width).to(tl.int64)[:, None] * inner + column
        at_w = (row32 // (width * height)).to(tl.int64) * width + row32 % width
        at_w = at_w[:, None] * inner + column
        in_h = inside
    else:
        at_h = row[:, None]
        at_w = (row32 // height).to(tl.int64)[:, None] * inner + column
        in_h = row_in
    at = row[:, None] * inner + column
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    value *= tl.load(gate_w + at_w, mask=inside, other=0.0).to(tl.float32)
    value *= tl.load(gate_h + at_h, mask=in_h, other=0.0).to(tl.float32)
    if ADDED:
        value += tl.load(add_h + at_h, mask=in_h, other=0.0).to(tl.float32) * scale_h
        value += tl.load(add_w + at_w, mask=inside, other=0.0).to(tl.float32) * scale_w
    tl.store(out + at, value.to(out.dtype.element_ty), mask=inside)
