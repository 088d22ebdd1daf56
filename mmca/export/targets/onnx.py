"""ONNX, run by ONNX Runtime."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmca.errors import UserError
from mmca.export import custom_operator
from mmca.export.metadata import KEY, ExportMetadata
from mmca.export.targets import require

if TYPE_CHECKING:
    from mmca.export.network import ExportNetwork

LAYOUT, LAST_STEP = 'NHWC', True
OPSET = 17
# What is quantised: of these operators those in the body of the network, by the nodes' names.
_QUANTISED = ('Conv', 'Clip', 'Relu', 'Add')
_BODY = re.compile(r'/(backbone|neck|decode_head)/')
_KEPT_IN_FLOAT = re.compile(r'/(attention|conv_seg)/')


def write(network: ExportNetwork, metadata: ExportMetadata, path: Path) -> list[Path]:
    """Write an ONNX file, with the metadata in it."""
    import torch

    from mmca.export.forms import OPERATOR

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
    is_choosable = 'dynamo' in inspect.signature(torch.onnx.export).parameters
    options = {'dynamo': False} if is_choosable else {}
    if network.form == OPERATOR:
        options['custom_opsets'] = {custom_operator.DOMAIN: 1}
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
            **options,
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
    if custom_operator.is_used(path.read_bytes()):  # no session before there is the operator
        properties = require('onnx', 'onnx').load(str(path)).metadata_props
        text = next((entry.value for entry in properties if entry.key == KEY), None)
        return ExportMetadata.from_json(text, path)
    session = _session(path, None)
    return ExportMetadata.from_json(session.get_modelmeta().custom_metadata_map.get(KEY), path)


def _session(path: Path, threads: int | None):
    runtime = require('onnxruntime', 'onnx')
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    try:
        if custom_operator.is_used(content := path.read_bytes()):
            return custom_operator.open_session(content, threads)
        return runtime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    except UserError:
        raise
    except Exception as error:  # of its own kinds, all derived from RuntimeError or not
        raise UserError(f'{path}: ONNX Runtime cannot read it ({error})') from error


def open_file(
    path: Path, metadata: ExportMetadata, threads: int | None
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function from the input to the outputs."""
    session = _session(path, threads)
    names = list(metadata.output_names)
    return lambda images: session.run(names, {metadata.input_name: images})


def kept_in_float(name: str) -> bool:
    """Whether a node, by its name, is not to be quantised: see :func:`quantise`."""
    return not _BODY.search(name) or bool(_KEPT_IN_FLOAT.search(name))


def quantise(path: Path, metadata: ExportMetadata, inputs: list[np.ndarray]) -> list[Path]:
    """Quantise a file in place: its convolutions to 8 bits, weights for each channel.

    Attentions, preprocessing, the layers that give the results and all after them stay in float:
    they are small, and the metric depends on them most.

    Args:
        path (Path): The file.
        metadata (ExportMetadata): Its metadata.
        inputs (list[np.ndarray]): Inputs of the file to calibrate on.
    """
    onnx = require('onnx', 'onnx')
    tools = require('onnxruntime.quantization', 'onnx')

    class Reader(tools.CalibrationDataReader):
        def __init__(self) -> None:
            self.rest = iter(inputs)

        def get_next(self) -> dict | None:
            following = next(self.rest, None)
            return None if following is None else {metadata.input_name: following}

    model = onnx.load(str(path))
    nodes = [node.name for node in model.graph.node if node.op_type in _QUANTISED]
    floats = [name for name in nodes if kept_in_float(name)]
    made = path.with_name(f'int8.{path.name}')
    tools.quantize_static(
        model,
        str(made),
        Reader(),
        quant_format=tools.QuantFormat.QDQ,
        op_types_to_quantize=list(_QUANTISED),
        nodes_to_exclude=floats,
        per_channel=True,
    )
    model = onnx.load(str(made))
    made.unlink()
    add_metadata(model, replace(metadata, int8=True))
    onnx.save(model, str(path))
    return [path]
