"""Output stride by DeepLab's rule (Chen et al., 2017, Sec. 3.1): remove strides, then dilate.

The block that loses its stride keeps the dilation so far; every depthwise convolution after
it is dilated once more. Its features, taken at every second position, are then exactly
those of the strided network.
"""

from collections.abc import Sequence

from mmca.options import check_at_least, check_choice


def stages_for_output_stride(
    native_strides: Sequence[int], output_stride: int, stem_stride: int
) -> tuple[list[int], list[int]]:
    """Stride and dilation of each stage for an output stride of 8, 16 or 32."""
    check_choice('backbone', 'output_stride', output_stride, (8, 16, 32))
    strides, dilations = [], []
    total, dilation = stem_stride, 1
    for stride in native_strides:
        if total * stride > output_stride:
            dilation *= stride
            stride = 1
        total *= stride
        strides.append(stride)
        dilations.append(dilation)
    return strides, dilations


def conv_geometry(
    strides: Sequence[int], dilations: Sequence[int], blocks: Sequence[int]
) -> list[list[tuple[int, int]]]:
    """(stride, dilation) of the depthwise convolution of each block of each stage."""
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
