"""ExecuTorch's ``.pte``, with XNNPACK's kernels; without NMS."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmca.errors import UserError
from mmca.export.metadata import ExportMetadata, path_beside, read_beside
from mmca.export.targets import require
from mmca.files import write_atomic

if TYPE_CHECKING:
    from mmca.export.network import ExportNetwork

LAYOUT, LAST_STEP = 'NCHW', False
SINGLE_IMAGES = True
# With free sizes memory is planned for the largest; below the smallest a map is a single pixel.
SMALLEST, LARGEST = 33, 1024


def write(network: ExportNetwork, metadata: ExportMetadata, path: Path) -> list[Path]:
    """Write ``.pte`` and, beside it, the metadata."""
    import torch

    exir = require('executorch.exir', 'executorch')
    xnnpack = require('executorch.backends.xnnpack.partition.xnnpack_partitioner', 'executorch')
    # A program of its own, which an environment that was not activated does not have in its PATH.
    for folder in (Path(sys.executable).parent, Path(exir.__file__).parents[1] / 'data' / 'bin'):
        if (folder / 'flatc').is_file():
            os.environ.setdefault('FLATC_EXECUTABLE', str(folder / 'flatc'))
    shapes = None
    if metadata.dynamic and metadata.task == 'detection':
        raise UserError(
            '--dynamic: the smallest maps of a detector are one pixel at some sizes and more at '
            'others, which ExecuTorch takes for two networks; give --size H W'
        )
    if metadata.dynamic:
        names = 'height', 'width'
        free = [torch.export.Dim(name, min=SMALLEST, max=LARGEST) for name in names]
        shapes = ({2: free[0], 3: free[1]},)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        program = torch.export.export(
            network, (network.example(metadata.size, 1),), dynamic_shapes=shapes
        )
        pooling = torch.ops.aten.adaptive_max_pool2d.default  # CBAM's, which is not in Core ATen
        if any(node.target is pooling for node in program.graph.nodes):
            program = program.run_decompositions({pooling: _global_max_pool})
        edge = exir.to_edge_transform_and_lower(program, partitioner=[xnnpack.XnnpackPartitioner()])
        path.write_bytes(edge.to_executorch().buffer)
    write_atomic(path_beside(path), metadata.to_json().encode())
    return [path, path_beside(path)]


def _global_max_pool(x, output_size):
    if any(side != 1 for side in output_size):
        raise UserError(f'ExecuTorch has no adaptive max pooling to {list(output_size)}')
    values = x.amax(dim=(2, 3), keepdim=True)
    return values, values.long()  # nobody asks where they are


metadata_of = read_beside


def open_file(
    path: Path, metadata: ExportMetadata, threads: int | None
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function from the input, one image, to the outputs."""
    import torch

    runtime = require('executorch.runtime', 'executorch')
    try:
        method = runtime.Runtime.get().load_program(str(path)).load_method('forward')
    except RuntimeError as error:
        raise UserError(f'{path}: ExecuTorch cannot read it ({error})') from error

    def run(images: np.ndarray) -> list[np.ndarray]:
        return [output.numpy().copy() for output in method.execute([torch.from_numpy(images)])]

    return run
