"""Parameters, multiply-adds and other operations of a model.

Counted where PyTorch dispatches them, so that functional calls and the inside of a custom
``autograd.Function`` count like modules. What never reaches the dispatcher, such as a kernel
launched straight from Python, cannot be seen: count on the device ``meta``, which holds no data,
and such a kernel fails in place of costing nothing.
"""

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from mmca.errors import UserError


def _nothing(args: tuple, out: Tensor) -> int:
    return 0


def _elements_made(args: tuple, out: Tensor) -> int:
    return out.numel()


def _elements_read(args: tuple, out: Tensor) -> int:
    return args[0].numel()


def _elements_in_windows(args: tuple, out: Tensor) -> int:
    kernel = args[1]
    return out.numel() * (prod(kernel) if len(kernel) == 2 else kernel[0] ** 2)


def _normalised(args: tuple, out: Tensor) -> int:
    """The statistics of the input, read, and the output, made."""
    return args[0].numel() + out.numel()


def _batch_normalised(args: tuple, out: Tensor) -> int:
    # In evaluation an affine map, folded into the convolution before it.
    training = args[5]
    return _normalised(args, out) if training else 0


def _four_neighbours(args: tuple, out: Tensor) -> int:
    return 4 * out.numel()


# Costs of operations of the namespace aten, named without the underscore of in-place ones.
_COSTS: dict[str, Callable[[tuple, Tensor], int]] = {
    name: cost
    for names, cost in (
        # PyTorch tags pointwise operations, but not all, and each version tags others.
        ('add sub mul div clamp sigmoid tanh relu hardtanh hardsigmoid hardswish', _elements_made),
        ('leaky_relu _prelu_kernel elu gelu silu mish', _elements_made),
        ('mean sum amax amin max min linalg_vector_norm', _elements_read),
        ('_adaptive_avg_pool2d adaptive_max_pool2d', _elements_read),
        ('avg_pool2d max_pool2d_with_indices', _elements_in_windows),
        ('upsample_bilinear2d', _four_neighbours),
        # Data that is made, copied or put elsewhere: no arithmetic. Views are told by their schema.
        ('arange empty empty_like empty_strided fill full full_like lift_fresh', _nothing),
        ('new_empty new_empty_strided new_full new_ones new_zeros', _nothing),
        ('ones ones_like scalar_tensor zero zeros zeros_like', _nothing),
        ('_to_copy _unsafe_view cat clone constant_pad_nd copy repeat roll stack', _nothing),
        ('channel_shuffle pixel_shuffle upsample_nearest2d', _nothing),
        ('native_group_norm native_layer_norm', _normalised),
        ('_softmax', _elements_made),
        ('native_batch_norm _native_batch_norm_legit', _batch_normalised),
        ('_native_batch_norm_legit_no_training', _nothing),
        ('_batch_norm_no_update cudnn_batch_norm miopen_batch_norm', _nothing),
    )
    for name in names.split()
}


class UncountedOperationError(UserError):
    """The model runs an operation whose cost is not known here."""


class Complexity(NamedTuple):
    """What :func:`count_complexity` counts, in units, not millions."""

    parameters: int
    multiply_adds: int
    other_operations: int


class _OtherOperations(TorchDispatchMode):
    """Counts pooling and pointwise operations; collects the names of what it does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self.unknown: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        namespace, name = str(func).split('.')[:2]
        cost = _COSTS.get(name.rstrip('_')) if namespace == 'aten' else None
        if cost is None and torch.Tag.pointwise in func.tags:
            cost = _elements_made
        if cost is not None:
            self.total += cost(args, out[0] if isinstance(out, tuple) else out)
        elif not func.is_view:
            self.unknown.add(f'{namespace}.{name}')
        return out


@torch.no_grad()
def count_complexity(model: nn.Module, height: int, width: int) -> Complexity:
    """Run one forward pass in evaluation mode and count.

    - Parameters: all of them, trainable or frozen; no buffers.
    - Multiply-adds ("M-Adds"): those of convolutions, linear layers and matrix products by
      PyTorch's own formulas, without their biases, batch norm folded. This is the definition of
      the published tables: it gives 300.8 M for MobileNetV2 1.0 at 224x224.
    - Other operations, which that definition leaves out: one for each element that an
      activation, gate or addition makes, one for each element that a pooling reads, four for
      each that a bilinear resizing makes, two for each of a group, layer or instance norm, whose
      statistics are the input's. Copies count nothing.

    Args:
        model (nn.Module): On any device; is put into evaluation mode. A model with the
            ``forward(inputs, data_samples, mode)`` of mmengine runs in mode ``'tensor'``.
        height (int): Height of the input in pixels.
        width (int): Width of the input in pixels.

    Shape:
        The input is (1, 3, height, width).

    Raises:
        UncountedOperationError: If the model runs an operation with no known cost, such as a
            custom operator. It is never taken for free.
    """
    parameters = list(model.parameters())
    device = parameters[0].device if parameters else None
    inputs = torch.zeros(1, 3, height, width, device=device)
    model.eval()
    with FlopCounterMode(display=False) as flops, _OtherOperations() as others:
        model(inputs)
    counted = {str(packet) for packet in flops.get_flop_counts().get('Global', {})}
    if unknown := sorted(others.unknown - counted):
        raise UncountedOperationError(
            f'the cost of {", ".join(unknown)} is not known: '
            f'add it to the tables of mmca/complexity/counting.py'
        )
    return Complexity(
        parameters=sum(parameter.numel() for parameter in parameters),
        multiply_adds=flops.get_total_flops() // 2,
        other_operations=others.total,
    )
