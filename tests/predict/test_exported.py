"""Predictions of exported files equal those of the checkpoints that they were made from."""

import csv
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import mmca
from helpers.exported import write_onnx
from helpers.tools import run_tool
from mmca.errors import UserError
from mmca.export.targets import TARGETS
from mmca.web.look import draw_gates, look_at
from mmca.web.networks import load_networks

TASKS = 'classification', 'segmentation', 'detection'
RUNTIMES = (
    'onnxruntime',
    'openvino',
    'ncnn',
    'executorch.runtime',
    'ai_edge_litert.interpreter',
    'coremltools',
)
each_task = pytest.mark.parametrize('task', TASKS)


@pytest.fixture(scope='module')
def files(cases, tmp_path_factory) -> dict[str, Path]:
    """A file of each task that takes any size."""
    folder = tmp_path_factory.mktemp('exported')
    return {task: write_onnx(cases[task], folder / f'{task}.onnx') for task in TASKS}


@each_task
def test_arrays_are_those_of_the_checkpoint(cases, files, task):
    """Of files and arrays of several sizes, alone and in batches."""
    case = cases[task]
    trained = mmca.Predictor(case.config, case.checkpoint, device='cpu')
    exported = mmca.Predictor(files[task])
    assert (exported.task, exported.classes) == (task, trained.classes)
    assert exported.palette == trained.palette
    paths = sorted(case.images.iterdir())
    images = [*paths, cv2.imread(str(paths[0]))[:70, :90]]
    for image, ours, theirs in zip(images, exported(images), trained(images), strict=True):
        assert_same(ours, theirs)
        assert_same(exported(image), ours)


def assert_same(ours, theirs) -> None:
    for name, wanted in vars(theirs).items():
        found = getattr(ours, name)
        assert found.dtype == wanted.dtype and found.shape == wanted.shape and found.size
        if name == 'class_map':
            assert len(np.unique(wanted)) > 2
            assert (found != wanted).mean() < 1e-3
        elif name == 'labels':
            np.testing.assert_array_equal(found, wanted)
        else:
            np.testing.assert_allclose(found, wanted, atol=1e-2 if name == 'boxes' else 1e-4)


def test_a_fixed_batch_is_filled_up_and_its_size_is_stretched_to(cases, tmp_path):
    case = cases['segmentation']
    predictor = mmca.Predictor(write_onnx(case, tmp_path / 'net.onnx', batch=2))
    images = [cv2.imread(str(path)) for path in sorted(case.images.iterdir())]
    assert images[0].shape == (75, 110, 3)
    together = predictor(images)
    trained = mmca.Predictor(case.config, case.checkpoint, device='cpu')
    for image, prediction in zip(images, together, strict=True):
        assert prediction.class_map.shape == (75, 110)
        np.testing.assert_array_equal(prediction.class_map, predictor(image).class_map)
        # Of the size that the file takes nothing is changed.
        exact = cv2.resize(image, (104, 72))
        wanted = trained(exact).class_map
        assert (predictor(exact).class_map != wanted).mean() < 1e-3


def test_the_tool_writes_what_the_file_says(cases, files, tmp_path):
    images, out = cases['segmentation'].images, tmp_path / 'out'
    text = tmp_path / 'text.jpg'
    text.write_text('no picture')
    network = files['segmentation']
    # Options may stand between the inputs.
    outcome = run_tool('predict', network, images, '--out', out, text)
    assert outcome.code == 1 and '\n3 pictures in' in outcome.output
    assert 'Error: 1 of 4 could not be read, see above' in outcome.output
    predictor = mmca.Predictor(network)
    for path in images.iterdir():
        [mask] = (out / 'masks').rglob(path.name)
        np.testing.assert_array_equal(np.array(Image.open(mask)), predictor(path).class_map)
    with open(out / 'predictions.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row['pixels']) for row in rows) == 3 * 75 * 110


def test_the_page_shows_files_beside_checkpoints(cases, files):
    case = cases['segmentation']
    networks = load_networks([str(files['segmentation']), str(case.config), str(case.checkpoint)])
    assert list(networks) == ['segmentation.onnx', 'segmentation (CoordinateAttention)']
    overlays, look = look_at(str(case.images / '0.png'), networks)
    assert overlays.count('<img') == 2 and 'segmentation.onnx: 110 x 75 pixels' in overlays
    assert [len(gates) for gates in look.gates.values()] == [0, 16]
    assert '<img' in draw_gates(look, 15)


@pytest.mark.parametrize('target', TARGETS)
def test_a_runtime_that_is_not_installed_is_one_line(files, tmp_path, monkeypatch, target):
    known = mmca.Predictor(files['classification']).network.exported.metadata
    for module in RUNTIMES:
        monkeypatch.setitem(sys.modules, module, None)
    path = tmp_path / f'net{TARGETS[target]}'
    path.write_bytes(files['classification'].read_bytes())
    path.with_name(f'{path.name}.json').write_text(known.to_json())
    outcome = run_tool('predict', path, tmp_path, '--out', tmp_path / 'out')
    assert outcome.code == 1
    [line] = outcome.output.splitlines()
    assert line.startswith(f'Error: {target} needs ')
    assert line.endswith(f'which is not installed: pip install "mmca[{target}]"')


def test_what_does_not_go_with_a_file_is_told(cases, files, tmp_path):
    path = files['classification']
    with pytest.raises(UserError, match='takes no device'):
        mmca.Predictor(path, device='cuda')
    with pytest.raises(UserError, match='takes no checkpoint'):
        mmca.Predictor(path, cases['classification'].checkpoint)
    with pytest.raises(UserError, match='give the checkpoint of this config'):
        mmca.Predictor(cases['classification'].config)
    other = tmp_path / 'net.engine'
    other.write_bytes(b'')
    with pytest.raises(UserError, match='neither a config .* nor an exported file'):
        mmca.Predictor(other, path)
    outcome = run_tool('predict', path, '--out', tmp_path)
    assert outcome.code == 2 and outcome.output.endswith(f'give INPUT behind {path}\n')
