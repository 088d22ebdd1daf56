"""OpenVINO, converted from the ONNX file; with NMS and metadata inside."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmca.errors import UserError
from mmca.export.metadata import KEY, ExportMetadata
from mmca.export.targets import onnx, require

if TYPE_CHECKING:
    from mmca.export.network import ExportNetwork

LAYOUT, LAST_STEP = 'NHWC', True


def write(network: ExportNetwork, metadata: ExportMetadata, path: Path) -> list[Path]:
    """Write ``.xml`` and, beside it, ``.bin``."""
    openvino = require('openvino', 'openvino')
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / 'network.onnx'
        onnx.write(network, metadata, source)
        model = openvino.convert_model(str(source))
    return save(model, metadata, path)


def save(model, metadata: ExportMetadata, path: Path) -> list[Path]:
    """Save OpenVINO's model with the metadata, its weights as they are."""
    openvino = require('openvino', 'openvino')
    model.set_rt_info(metadata.to_json(), [KEY, 'metadata'])
    openvino.save_model(model, str(path), compress_to_fp16=False)
    return [path, path.with_suffix('.bin')]


def _read(path: Path):
    core = require('openvino', 'openvino').Core()
    try:
        return core, core.read_model(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise UserError(f'{path}: OpenVINO cannot read it ({reason})') from error


def metadata_of(path: Path) -> ExportMetadata:
    """What a file says of itself."""
    model = _read(path)[1]
    place = [KEY, 'metadata']
    text = model.get_rt_info(place).astype(str) if model.has_rt_info(place) else None
    return ExportMetadata.from_json(text, path)


def open_file(
    path: Path, metadata: ExportMetadata, threads: int | None
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function from the input to the outputs."""
    core, model = _read(path)
    # Also where the processor has faster bfloat16: labels are those of PyTorch.
    settings = {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': 'f32'}
    if threads:
        settings['INFERENCE_NUM_THREADS'] = threads
    compiled = core.compile_model(model, 'CPU', settings)
    outputs = [compiled.output(name) for name in metadata.output_names]

    def run(images: np.ndarray) -> list[np.ndarray]:
        found = compiled([images])
        return [np.array(found[output]) for output in outputs]

    return run


def quantise(path: Path, metadata: ExportMetadata, inputs: list[np.ndarray]) -> list[Path]:
    """Quantise a file in place, with NNCF: what :func:`mmca.export.targets.onnx.quantise` does.

    Args:
        path (Path): The file.
        metadata (ExportMetadata): Its metadata.
        inputs (list[np.ndarray]): Inputs of the file to calibrate on.
    """
    nncf = require('nncf', 'openvino')
    logging.getLogger('nncf').setLevel(logging.ERROR)
    names = [node.get_friendly_name() for node in _read(path)[1].get_ops()]
    made = nncf.quantize(
        _read(path)[1],
        nncf.Dataset(inputs),
        # Activations that are not symmetric about zero get a range that is not either.
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
        ignored_scope=nncf.IgnoredScope(
            names=[name for name in names if onnx.kept_in_float(name)], validate=False
        ),
    )
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        # The file that is read lies open until the new one is there.
        files = save(made, replace(metadata, int8=True), Path(folder) / path.name)
        return [file.replace(path.parent / file.name) for file in files]
