"""Core ML's ``.mlpackage``, for Apple's devices; without NMS. It runs on macOS alone."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmca.errors import UserError
from mmca.export.metadata import KEY, ExportMetadata
from mmca.export.targets import require

if TYPE_CHECKING:
    from mmca.export.network import ExportNetwork

LAYOUT, LAST_STEP = 'NCHW', False
RUNS_HERE = sys.platform == 'darwin'


def write(network: ExportNetwork, metadata: ExportMetadata, path: Path) -> list[Path]:
    """Write ``.mlpackage``, a folder, with the metadata in it."""
    import torch

    if metadata.dynamic:
        raise UserError(
            '--dynamic: coremltools fails on a network whose sizes are free (its issues 2037 and '
            '2159 are open); give --size H W, and write a file for each size'
        )
    coreml = require('coremltools', 'coreml')
    example = network.example(metadata.size, metadata.batch)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter('ignore')
        traced = torch.jit.trace(network, example, check_trace=False)
        model = coreml.convert(
            traced,
            inputs=[coreml.TensorType(metadata.input_name, shape=tuple(example.shape))],
            outputs=[coreml.TensorType(name) for name in metadata.output_names],
            # Its default, float16, does not give PyTorch's numbers.
            compute_precision=coreml.precision.FLOAT32,
            minimum_deployment_target=coreml.target.iOS16,
        )
    model.user_defined_metadata[KEY] = metadata.to_json()
    model.save(str(path))
    return [path]


def metadata_of(path: Path) -> ExportMetadata:
    """What a file says of itself."""
    coreml = require('coremltools', 'coreml')
    try:
        model = coreml.models.MLModel(str(path), skip_model_load=True)
    except Exception as error:  # of several kinds
        raise UserError(f'{path}: Core ML cannot read it ({error})') from error
    return ExportMetadata.from_json(model.user_defined_metadata.get(KEY), path)


def open_file(
    path: Path, metadata: ExportMetadata, threads: int | None
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function from the input to the outputs."""
    if not RUNS_HERE:
        raise UserError(f'{path}: Core ML runs on macOS alone; elsewhere it is written, not run')
    coreml = require('coremltools', 'coreml')
    model = coreml.models.MLModel(str(path), compute_units=coreml.ComputeUnit.CPU_ONLY)

    def run(images: np.ndarray) -> list[np.ndarray]:
        found = model.predict({metadata.input_name: images})
        return [found[name] for name in metadata.output_names]

    return run
