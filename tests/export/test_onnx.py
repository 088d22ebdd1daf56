"""Networks of each task, exported to ONNX by the tool, beside PyTorch."""

import re

import cv2
import numpy as np
import onnx
import pytest

from helpers.exported import Case
from helpers.tools import Outcome, run_tool
from mmca.errors import UserError
from mmca.export import load_exported, prepare
from mmca.export.forms import Form

TASKS = 'classification', 'segmentation', 'detection'
each_task = pytest.mark.parametrize('task', TASKS)


def export(case: Case, out, *options: object) -> Outcome:
    images = ['--images', case.images, '--threads', 1]
    where = ['--to', 'onnx', '--out', out, *images]
    return run_tool('export', case.config, case.checkpoint, *where, *options)


@pytest.fixture(scope='module')
def dynamic(cases, tmp_path_factory) -> dict:
    """A file of each task that takes any size, and what the tool printed."""
    folder, made = tmp_path_factory.mktemp('dynamic'), {}
    for task in TASKS:
        outcome = export(cases[task], folder / f'{task}.onnx', '--dynamic')
        assert outcome.code == 0, outcome.output
        made[task] = folder / f'{task}.onnx', outcome.output
    return made


@each_task
def test_any_size_computes_what_pytorch_computes(dynamic, task):
    lines = re.findall(r'(\d+x\d+), .*difference (\S+), changed (\d+) of (\d+)', dynamic[task][1])
    sizes = [line[0] for line in lines]
    assert len(lines) == 6 and {'333x257', '97x129', '417x545'} < set(sizes)
    for _, difference, changed, total in lines:
        assert float(difference) < 2e-3 and int(changed) <= 0.001 * int(total)
        assert int(total) > 0


@each_task
def test_a_fixed_size_takes_this_size_alone(cases, task, tmp_path):
    path = tmp_path / 'network.onnx'
    outcome = export(cases[task], path, '--size', 80, 96, '--batch', 2)
    assert outcome.code == 0, outcome.output
    assert [file.name for file in tmp_path.iterdir()] == ['network.onnx']
    network = load_exported(path, threads=1)
    assert network.metadata.size == (80, 96) and network.metadata.batch == 2
    found = network(np.zeros((2, 80, 96, 3), np.uint8))
    assert all(len(values) == 2 for values in found.values())
    with pytest.raises(UserError, match='takes 80x96 alone'):
        network(np.zeros((2, 80, 97, 3), np.uint8))
    with pytest.raises(UserError, match='--batch 3 or --dynamic'):
        network(np.zeros((3, 80, 96, 3), np.uint8))
    with pytest.raises(UserError, match='uint8'):
        network(np.zeros((2, 80, 96, 3), np.float32))


def test_shapes_and_kinds_of_results(dynamic):
    images = np.random.default_rng(0).integers(0, 256, (2, 70, 90, 3), np.uint8)
    found = {task: load_exported(path, 1)(images) for task, (path, _) in dynamic.items()}
    scores = found['classification']['scores']
    assert scores.shape == (2, 10) and np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    class_map = found['segmentation']['class_map']
    assert class_map.shape == (2, 70, 90) and class_map.dtype == np.int64
    boxes = found['detection']
    assert boxes['boxes'].shape == (2, 20, 4) and boxes['labels'].dtype == np.int64
    assert (np.diff(boxes['scores']) <= 0).all() and boxes['scores'][0, 0] > 0.01


def test_metadata_say_what_is_needed_to_run_it(dynamic):
    known = load_exported(dynamic['detection'][0]).metadata
    assert (known.task, known.target, known.dynamic) == ('detection', 'onnx', True)
    assert known.classes == ('RBC', 'WBC', 'Platelets') and known.palette[0] == (220, 20, 60)
    assert known.mean == (123, 117, 104) and known.to_rgb and known.preprocessing
    assert known.nms == {'score_thr': 0.01, 'iou_threshold': 0.45, 'max_per_img': 20}
    assert known.resize == ({'type': 'Resize', 'scale': [96, 96]},)
    assert (known.config, len(known.config_hash)) == ('detection.py', 64)
    assert load_exported(dynamic['segmentation'][0]).metadata.classes[:2] == ('sky', 'building')


def test_nms_is_the_standard_operator(dynamic):
    graph = onnx.load(str(dynamic['detection'][0])).graph
    assert [node.op_type for node in graph.node].count('NonMaxSuppression') == 1
    assert {node.domain for node in graph.node} == {''}


def test_without_preprocessing_the_results_are_the_same(cases, dynamic, tmp_path):
    case, path = cases['classification'], tmp_path / 'bare.onnx'
    outcome = export(case, path, '--dynamic', '--no-preprocessing')
    assert outcome.code == 0, outcome.output
    bare, whole = load_exported(path, 1), load_exported(dynamic['classification'][0], 1)
    assert bare.metadata.input_layout == 'NCHW' and not bare.metadata.preprocessing
    image = prepare(cv2.imread(str(case.images / '0.png')), bare.metadata)
    assert image.shape == (64, 64, 3)
    np.testing.assert_allclose(bare(image[None])['scores'], whole(image[None])['scores'], atol=1e-5)


def test_a_file_that_computes_something_else_is_not_left(cases, tmp_path, monkeypatch):
    """With windows of the traced size at other sizes: what a plain export writes without a word."""
    monkeypatch.setattr(
        'mmca.export.forms.form_for', lambda target, fixed: Form('windows', 'in_turn')
    )
    path = tmp_path / 'wrong.onnx'
    outcome = export(cases['segmentation'], path, '--dynamic')
    assert outcome.code == 1
    assert 'onnx fails on 1 image of 333x257' in outcome.output
    assert list(tmp_path.iterdir()) == []


def test_another_networks_file_is_told(cases, dynamic):
    """The comparison itself: weights that differ a little are no rounding."""
    from mmengine.config import Config

    from mmca.export.images import paths_in, read_images
    from mmca.export.model import load_model
    from mmca.export.proof import FLOAT, prove

    case = cases['segmentation']
    loaded = load_model(Config.fromfile(case.config), case.checkpoint)
    loaded.model.decode_head.conv_seg.bias.data[1] += 0.2
    exported = load_exported(dynamic['segmentation'][0], 1)
    found = next(prove(loaded, exported, read_images(paths_in(case.images, 2))))
    assert found.changed > 0 and found.difference > 0.05
    assert not found.within(FLOAT['segmentation'])


def test_eight_bits_are_smaller_and_still_near(cases, tmp_path):
    case, path = cases['detection'], tmp_path / 'net.onnx'
    outcome = export(case, path, '--size', 96, 96, '--int8', case.images)
    sizes = re.findall(r'onnx.*, (\S+) MB', outcome.output)
    assert outcome.code == 0 and load_exported(path).metadata.int8, outcome.output
    assert float(sizes[1]) < 0.75 * float(sizes[0])
    nodes = onnx.load(str(path)).graph.node
    made_by = {output: node.op_type for node in nodes for output in node.output}
    convs = [node for node in nodes if node.op_type == 'Conv']
    gates = [node for node in convs if '/attention/' in node.name]
    assert gates and all(made_by.get(node.input[1]) != 'DequantizeLinear' for node in gates)
    assert sum(made_by.get(node.input[1]) == 'DequantizeLinear' for node in convs) > 30


@pytest.mark.parametrize(
    'options, message',
    [
        (['--out', 'net.pt'], 'files for onnx end in .onnx'),
        (['--images', '/nowhere'], 'no images'),
        (['--cfg-options', 'model.test_cfg.mode=slide'], 'mode=whole'),
    ],
)
def test_what_cannot_be_exported_is_one_line(cases, tmp_path, options, message):
    outcome = export(cases['segmentation'], tmp_path / 'net.onnx', *options)
    assert outcome.code == 1 and message in outcome.output
    assert 'Traceback' not in outcome.output and list(tmp_path.iterdir()) == []


def test_files_that_are_no_exports(tmp_path, dynamic):
    path = tmp_path / 'net.onnx'
    with pytest.raises(UserError, match='no such file'):
        load_exported(path)
    path.write_bytes(b'nothing')
    with pytest.raises(UserError, match='ONNX Runtime cannot read it'):
        load_exported(path)
    model = onnx.load(str(dynamic['classification'][0]))
    del model.metadata_props[:]
    onnx.save(model, str(path))
    with pytest.raises(UserError, match='was not written by tools/export.py'):
        load_exported(path)
    with pytest.raises(UserError, match='exported files end in .onnx, .xml'):
        load_exported(tmp_path / 'net.engine')
