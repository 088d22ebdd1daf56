"""Coordinate attention as one operator of ONNX Runtime, beside PyTorch."""

import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from helpers.tools import run_tool
from mmca.errors import UserError
from mmca.export import custom_operator, load_exported
from mmca.export.custom_operator import blocked
from mmca.export.forms import AttentionNode
from mmca.models.attention import CoordinateAttention


def attention(channels: int) -> CoordinateAttention:
    torch.manual_seed(channels)
    layer = CoordinateAttention(channels)
    for norm in layer.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
            nn.init.normal_(norm.running_mean, std=0.2)
    return layer.eval()


def in_blocks(x: np.ndarray, block: int) -> np.ndarray:
    """(N, C, H, W) to the memory of (N, C' / block, H, W, block), with the shape (N, C', H, W)."""
    x = np.pad(x, ((0, 0), (0, -x.shape[1] % block), (0, 0), (0, 0)))
    number, channels, height, width = x.shape
    parts = x.reshape(number, channels // block, block, height, width)
    return np.ascontiguousarray(parts.transpose(0, 1, 3, 4, 2)).reshape(x.shape)


def one_node(layer: CoordinateAttention, shape: tuple, block: int, threads: int):
    names = ['w1', 'b1', 'wh', 'bh', 'ww', 'bw']
    weights = [
        numpy_helper.from_array(value.detach().contiguous().numpy(), name)
        for name, value in zip(names, AttentionNode(layer).weights, strict=True)
    ]
    node = helper.make_node(
        'CoordinateAttention', ['x', *names], ['y'], domain=custom_operator.DOMAIN, block=block
    )
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in 'xy']
    graph = helper.make_graph([node], 'one', sides[:1], sides[1:], weights)
    opsets = [helper.make_opsetid('', 17), helper.make_opsetid(custom_operator.DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.register_custom_ops_library(str(custom_operator.build()))
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=['CPUExecutionProvider']
    )


@pytest.mark.parametrize('threads', [1, 2])
@pytest.mark.parametrize('block', [1, 8, 16])
@pytest.mark.parametrize(
    'shape',
    [(1, 96, 56, 56), (2, 40, 13, 7), (1, 19, 1, 5), (3, 144, 9, 31), (1, 960, 7, 7)],
    ids=str,
)
def test_the_operator_is_the_attention_in_rows_and_in_blocks(shape, block, threads):
    layer, x = attention(shape[1]), np.random.default_rng(0).normal(size=shape).astype('f4')
    with torch.no_grad():
        expected = layer.reference(torch.from_numpy(x)).numpy()
    x, expected = (in_blocks(array, block) for array in (x, expected))
    (found,) = one_node(layer, x.shape, block, threads).run(None, {'x': x})
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.fixture(scope='module')
def files(cases, tmp_path_factory) -> dict:
    """A file of each task that takes any size, and what the tool printed."""
    folder, made = tmp_path_factory.mktemp('operator'), {}
    for task, case in cases.items():
        path = folder / f'{task}.onnx'
        options = ['--to', 'onnx', '--out', path, '--images', case.images, '--threads', 2]
        options += ['--dynamic', '--custom-operator']
        outcome = run_tool('export', case.config, case.checkpoint, *options)
        assert outcome.code == 0, outcome.output
        made[task] = path, outcome.output
    return made


@pytest.mark.parametrize('task', ['classification', 'segmentation', 'detection'])
def test_files_with_it_compute_what_pytorch_computes(files, task):
    path, output = files[task]
    lines = re.findall(r'(\d+x\d+), .*difference (\S+), changed (\d+) of (\d+)', output)
    assert len(lines) == 6 and {'333x257', '97x129', '417x545'} < {line[0] for line in lines}
    for _, difference, changed, total in lines:
        assert float(difference) < 2e-3 and int(changed) <= 0.001 * int(total)
    graph = onnx.load(str(path)).graph
    assert sum(node.op_type == 'CoordinateAttention' for node in graph.node) == 16
    assert not any(node.op_type in ('ReduceMean', 'AveragePool') for node in graph.node)


@pytest.mark.parametrize('size', [(), (80, 96)], ids=['any', 'one'])
def test_it_works_on_the_blocks_of_the_convolutions(cases, files, tmp_path, size):
    path, case = files['segmentation'][0], cases['segmentation']
    if size:
        path = tmp_path / 'net.onnx'
        options = ['--to', 'onnx', '--out', path, '--images', case.images, '--size', *size]
        outcome = run_tool('export', case.config, case.checkpoint, *options, '--custom-operator')
        assert outcome.code == 0, outcome.output
    options = blocked._options(1)
    model = onnx.load_from_string(blocked._optimised(path.read_bytes(), options))
    before = sum(node.op_type == 'ReorderOutput' for node in model.graph.node)
    block = blocked._block()
    if before == 0:
        pytest.skip('ONNX Runtime has no blocks on this processor')
    assert block in (8, 16)
    assert blocked.put_into_blocks(model, block) == 16
    after = sum(node.op_type == 'ReorderOutput' for node in model.graph.node)
    assert after == before - 16


def test_the_prediction_tool_takes_such_a_file(cases, files, tmp_path):
    path, out = files['segmentation'][0], tmp_path / 'predictions'
    outcome = run_tool('predict', path, cases['segmentation'].images, '--out', out)
    assert outcome.code == 0, outcome.output
    assert len([file for file in out.rglob('*') if file.suffix == '.png']) >= 3


def test_what_cannot_have_the_operator_is_one_line(cases, tmp_path):
    case = cases['classification']

    def message(*options: object) -> str:
        where = ['--out', tmp_path / 'net.onnx', '--images', case.images, '--custom-operator']
        outcome = run_tool('export', case.config, case.checkpoint, *where, *options)
        assert outcome.code == 1 and 'Traceback' not in outcome.output
        assert list(tmp_path.iterdir()) == []
        return outcome.output

    assert 'files for onnx have the operator, without --int8' in message(
        '--to', 'onnx', '--int8', case.images
    )
    one_axis = ['--cfg-options', 'model.backbone.attention.act_cfg.type=ReLU']
    assert 'coordinate attention with both axes, h-swish' in message('--to', 'onnx', *one_axis)


def test_without_a_compiler_the_file_says_what_to_do(files, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setenv('CXX', 'no-such-compiler')
    with pytest.raises(UserError, match='no-such-compiler is not installed.*g\\+\\+'):
        load_exported(files['classification'][0])
    monkeypatch.setenv('CXX', 'false')
    with pytest.raises(UserError, match='false cannot compile .*without --custom-operator'):
        load_exported(files['classification'][0])
    assert not list(tmp_path.rglob('*.so'))
