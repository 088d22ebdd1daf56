"""Output stride by DeepLab's rule (Chen et al., 2017, Sec. 3.1): remove strides, then dilate.

The block that loses its stride keeps the dilation so far; every depthwise convolution after
it is dilated once more. Its features, taken at every second position, are then exactly
those of the strided network.
"""

from collections.abc import Sequence

from mmca.options import check_at_least, check_choice


def block_geometry(
    native_strides: Sequence[int],
    blocks: Sequence[int],
    output_stride: int,
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
) -> list[list[tuple[int, int]]]:
    """(stride, dilation) of the depthwise convolutions of each block of each stage.

    Args:
        native_strides (Sequence[int]): Stride of each stage at output stride 32, of which the
            stem before them takes 2.
        blocks (Sequence[int]): Number of blocks of each stage.
        output_stride (int): 8, 16 or 32; by it, or
        strides (Sequence[int] | None): by the stride of each stage, given together with
        dilations (Sequence[int] | None): the dilation of each stage.
    """
    if strides is None and dilations is None:
        strides, dilations = _stages_for_output_stride(native_strides, output_stride)
    elif strides is None or dilations is None or output_stride != 32:
        raise ValueError('backbone: give output_stride alone, or strides and dilations together')
    for name, values in (('strides', strides), ('dilations', dilations)):
        if len(values) != len(blocks):
            raise ValueError(f'backbone: {name}={tuple(values)} must have {len(blocks)} entries')
        for value in values:
            check_at_least('backbone', name, value, 1)
    geometry = []
    previous = 1
    for stride, dilation, count in zip(strides, dilations, blocks):
        geometry.append([(stride, previous), *[(1, dilation)] * (count - 1)])
        previous = dilation
    return geometry


def _stages_for_output_stride(
    native_strides: Sequence[int], output_stride: int
) -> tuple[list[int], list[int]]:
    check_choice('backbone', 'output_stride', output_stride, (8, 16, 32))
    strides, dilations = [], []
    total, dilation = 2, 1  # the stem's
    for stride in native_strides:
        if total * stride > output_stride:
            dilation *= stride
            stride = 1
        total *= stride
        strides.append(stride)
        dilations.append(dilation)
    return strides, dilations
