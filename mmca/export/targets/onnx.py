"""ONNX, run by ONNX Runtime."""

from __future__ import annotations

import inspect
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

LAYOUT, LAST_STEP = 'NHWC', True
OPSET = 17


def write(network: ExportNetwork, metadata: ExportMetadata, path: Path) -> list[Path]:
    """Write an ONNX file, with the metadata in it."""
    import torch

    onnx = require('onnx', 'onnx')
    names = [metadata.input_name, *metadata.output_names]
    axes = {}
    if metadata.dynamic:
        spatial = (1, 2) if metadata.input_layout == 'NHWC' else (2, 3)
        axes = {name: {0: 'batch'} for name in names}
        axes[names[0]].update(zip(spatial, ('height', 'width')))
        if metadata.task == 'segmentation':
            axes[names[1]].update({1: 'height', 2: 'width'})
    # The exporter that traces: the other one writes the traced sizes of poolings into the graph
    # without a word, and is not in older releases.
    traced = (
        {'dynamo': False} if 'dynamo' in inspect.signature(torch.onnx.export).parameters else {}
    )
    example = network.example(metadata.size, metadata.batch)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            network,
            (example,),
            str(path),
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes=axes,
            opset_version=OPSET,
            **traced,
        )
    model = onnx.load(str(path))
    add_metadata(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return [path]


def add_metadata(model, metadata: ExportMetadata) -> None:
    """Put the metadata into an ONNX model, in place of what is there."""
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, metadata.to_json()


def metadata_of(path: Path) -> ExportMetadata:
    """What a file says of itself."""
    return _metadata(_session(path, None), path)


def _session(path: Path, threads: int | None):
    runtime = require('onnxruntime', 'onnx')
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    try:
        return runtime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    except Exception as error:  # of its own kinds, all derived from RuntimeError or not
        raise UserError(f'{path}: ONNX Runtime cannot read it ({error})') from error


def _metadata(session, path: Path) -> ExportMetadata:
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise UserError(f'{path}: was not written by tools/export.py, it has no metadata of mmca')
    return ExportMetadata.from_json(text, path)


def open_file(
    path: Path, metadata: ExportMetadata, threads: int | None
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function from the input to the outputs."""
    session = _session(path, threads)
    names = list(metadata.output_names)
    return lambda images: session.run(names, {metadata.input_name: images})
