"""LiteRT's ``.tflite``, formerly TensorFlow Lite; without NMS."""

from __future__ import annotations

import contextlib
import io
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


def write(network: ExportNetwork, metadata: ExportMetadata, path: Path) -> list[Path]:
    """Write ``.tflite`` and, beside it, the metadata."""
    if metadata.dynamic:
        raise UserError(
            '--dynamic: the converter to LiteRT plans one size, and the sizes of the poolings and '
            'of resizing become numbers in the file; give --size H W'
        )
    converter = require('litert_torch', 'litert')
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')
        made = converter.convert(network, (network.example(metadata.size, metadata.batch),))
        made.export(str(path))
    write_atomic(path_beside(path), metadata.to_json().encode())
    return [path, path_beside(path)]


metadata_of = read_beside


def open_file(
    path: Path, metadata: ExportMetadata, threads: int | None
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function from the input to the outputs."""
    runtime = require('ai_edge_litert.interpreter', 'litert')
    try:
        network = runtime.Interpreter(str(path), num_threads=threads)
        network.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UserError(f'{path}: LiteRT cannot read it ({error})') from error
    place = network.get_input_details()[0]['index']
    # Their names end in the number of the output, the interpreter's order is its own.
    outputs = sorted(network.get_output_details(), key=lambda one: one['name'])

    def run(images: np.ndarray) -> list[np.ndarray]:
        network.set_tensor(place, images)
        network.invoke()
        return [network.get_tensor(output['index']) for output in outputs]

    return run
