"""A file with the operator, run by ONNX Runtime in the layout of its convolutions.

Optimising a graph, ONNX Runtime puts convolutions into a layout of blocks of 8 or 16 channels
(N, C / block, H, W, block), as suits the processor, and around operators that it does not know
puts maps into rows and back. The operator of mmca takes blocks: these two steps are taken out of
the optimised graph.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmca.export.targets import require

from .library import build

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from onnxruntime import InferenceSession, SessionOptions

OPERATOR, DOMAIN = 'CoordinateAttention', 'mmca'
_BLOCKED = 'com.microsoft.nchwc'
_PROVIDERS = ['CPUExecutionProvider']


def open_session(model: bytes, threads: int | None) -> InferenceSession:
    """A session of a model that has the operator.

    Args:
        model (bytes): An ONNX file.
        threads (int | None): Threads of a run; None: as many as there are cores.

    Raises:
        UserError: If the operator cannot be compiled.
    """
    onnx, runtime = require('onnx', 'onnx'), require('onnxruntime', 'onnx')
    optimised = onnx.load_from_string(_optimised(model, _options(threads)))
    put_into_blocks(optimised, _block())
    options = _options(threads)
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return runtime.InferenceSession(optimised.SerializeToString(), options, providers=_PROVIDERS)


def put_into_blocks(model: ModelProto, block: int) -> int:
    """Let the operators of an optimised model work on blocks where maps come in blocks.

    Args:
        model (ModelProto): As ONNX Runtime optimised it; is changed.
        block (int): Channels of a block.

    Returns:
        int: How many of the operators do.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    outputs = {output.name for output in graph.output}
    found = [node for node in graph.node if node.op_type == OPERATOR and node.domain == DOMAIN]
    changed = 0
    for node in found:
        before = makers.get(node.input[0])
        after = [user for user in graph.node if node.output[0] in user.input]
        is_last = node.output[0] in outputs
        if (
            not _is(before, 'ReorderOutput')
            or is_last
            or not all(_is(user, 'ReorderInput') for user in after)
        ):
            continue
        node.input[0] = before.input[0]
        for attribute in node.attribute:
            if attribute.name == 'block':
                attribute.i = block
        for reorder in after:
            for user in graph.node:
                for place, name in enumerate(user.input):
                    if name == reorder.output[0]:
                        user.input[place] = node.output[0]
            graph.node.remove(reorder)
        if not any(before.output[0] in user.input for user in graph.node):
            graph.node.remove(before)
        changed += 1
    return changed


def _is(node: NodeProto | None, kind: str) -> bool:
    if node is None or node.op_type != kind or node.domain != _BLOCKED:
        return False
    return not any(one.name == 'channels_last' and one.i for one in node.attribute)


def _options(threads: int | None) -> SessionOptions:
    options = require('onnxruntime', 'onnx').SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    options.register_custom_ops_library(str(build()))
    return options


def _optimised(model: bytes, options: SessionOptions) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'optimised.onnx'
        options.optimized_model_filepath = str(path)
        require('onnxruntime', 'onnx').InferenceSession(model, options, providers=_PROVIDERS)
        return path.read_bytes()


def _block() -> int:
    """Channels of a block on this processor: what 8 of a convolution are filled up to."""
    onnx = require('onnx', 'onnx')
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    weights = onnx.numpy_helper.from_array(np.ones((8, 3, 1, 1), np.float32), 'weights')
    sides = [
        helper.make_tensor_value_info(name, number, (1, channels, 4, 4))
        for name, channels in (('x', 3), ('y', 8))
    ]
    conv = helper.make_node('Conv', ['x', 'weights'], ['y'])
    graph = helper.make_graph([conv], 'probe', sides[:1], sides[1:], [weights])
    opset = [helper.make_opsetid('', 17)]
    probe = helper.make_model(graph, opset_imports=opset, ir_version=8)
    made = onnx.load_from_string(_optimised(probe.SerializeToString(), _options(1)))
    return made.graph.initializer[0].dims[0]
