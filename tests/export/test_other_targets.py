"""Files for runtimes that are installed on demand, and an exported file's metric."""

import json
import re
import sys

import pytest

from helpers.tools import run_tool
from mmca.errors import UserError
from mmca.export import load_exported
from mmca.export.targets import target_module

TASKS = 'classification', 'segmentation', 'detection'


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize(
    'target, module, name',
    [
        ('openvino', 'openvino', 'net.xml'),
        ('ncnn', 'pnnx', 'net.ncnn.param'),
        ('executorch', 'executorch', 'net.pte'),
        ('litert', 'litert_torch', 'net.tflite'),
    ],
)
def test_each_task_computes_what_pytorch_computes(cases, tmp_path, target, module, name, task):
    pytest.importorskip(module)
    case = cases[task]
    where = ['--to', target, '--out', tmp_path / name, '--images', case.images, '--threads', 1]
    outcome = run_tool('export', case.config, case.checkpoint, *where, '--size', 96, 96)
    assert outcome.code == 0, outcome.output
    assert 'changed 0 of' in outcome.output and (tmp_path / name).is_file()


@pytest.mark.parametrize(
    'target, ending',
    [
        ('openvino', 'xml'),
        ('ncnn', 'ncnn.param'),
        ('litert', 'tflite'),
        ('coreml', 'mlpackage'),
    ],
)
def test_a_missing_runtime_is_one_line(cases, tmp_path, monkeypatch, target, ending):
    for module in ('openvino', 'pnnx', 'litert_torch', 'coremltools'):
        monkeypatch.setitem(sys.modules, module, None)
    case = cases['classification']
    where = ['--to', target, '--out', tmp_path / f'net.{ending}', '--images', case.images]
    outcome = run_tool('export', case.config, case.checkpoint, *where)
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    assert f'which is not installed: pip install "mmca[{target}]"' in outcome.output


def test_a_file_has_the_metric_of_its_checkpoint(trained, tiny_config, tmp_path, sample_voc):
    checkpoint, path = trained.work_dir / 'iter_12.pth', tmp_path / 'net.onnx'
    where = ['--to', 'onnx', '--out', path, '--dynamic', '--images', sample_voc / 'JPEGImages']
    outcome = run_tool('export', tiny_config, checkpoint, *where)
    assert outcome.code == 0, outcome.output
    metrics = []
    for file, options in ((checkpoint, []), (path, ['--runtime', 'onnx'])):
        out = tmp_path / 'metrics.json'
        arguments = [*options, '--out', out, '--work-dir', tmp_path / 'work']
        outcome = run_tool('test', tiny_config, file, *arguments)
        assert outcome.code == 0, outcome.output
        metrics.append(json.loads(out.read_text()))
    assert metrics[0]['mIoU'] == pytest.approx(metrics[1]['mIoU'], abs=0.01)
    wrong = run_tool('test', tiny_config, path, '--runtime', 'ncnn', '--work-dir', tmp_path)
    assert wrong.code == 1 and 'is a file for --runtime onnx' in wrong.output


def test_eight_bits_are_refused_where_they_are_not_written(cases, tmp_path):
    case = cases['classification']
    where = ['--to', 'ncnn', '--out', tmp_path / 'net.ncnn.param', '--int8', case.images]
    outcome = run_tool('export', case.config, case.checkpoint, *where, '--images', case.images)
    assert outcome.code == 1
    assert 'files for onnx, openvino are quantised, not for ncnn' in outcome.output


def test_openvino_has_eight_bits_outside_attentions(cases, tmp_path):
    pytest.importorskip('nncf')
    import openvino

    case, path = cases['detection'], tmp_path / 'net.xml'
    where = ['--to', 'openvino', '--out', path, '--images', case.images, '--size', 96, 96]
    outcome = run_tool('export', case.config, case.checkpoint, *where, '--int8', case.images)
    assert outcome.code == 0 and load_exported(path).metadata.int8, outcome.output
    sizes = re.findall(r'openvino.*, (\S+) MB', outcome.output)
    assert float(sizes[1]) < 0.75 * float(sizes[0])
    operations = openvino.Core().read_model(str(path)).get_ops()
    quantised = [one.get_friendly_name() for one in operations if 'Fake' in one.get_type_name()]
    # What an attention gives is, for the convolution that takes it.
    assert len(quantised) > 30 and not any('/attention/conv' in name for name in quantised)


@pytest.mark.parametrize(
    'task, target, ending, reason',
    [
        ('classification', 'litert', 'tflite', 'plans one size'),
        ('classification', 'coreml', 'mlpackage', 'its issues 2037 and 2159 are open'),
        ('detection', 'ncnn', 'ncnn.param', 'an operator that ncnn does not have'),
    ],
)
def test_free_sizes_are_refused_where_a_runtime_has_none(
    cases, tmp_path, task, target, ending, reason
):
    case = cases[task]
    where = ['--to', target, '--out', tmp_path / f'net.{ending}', '--images', case.images]
    outcome = run_tool('export', case.config, case.checkpoint, *where, '--dynamic')
    assert outcome.code == 1 and reason in outcome.output and '--size H W' in outcome.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('task', TASKS)
def test_core_ml_is_written_and_says_that_it_was_not_run(cases, tmp_path, task):
    pytest.importorskip('coremltools')
    case, path = cases[task], tmp_path / 'net.mlpackage'
    where = ['--to', 'coreml', '--out', path, '--images', case.images, '--size', 96, 96]
    outcome = run_tool('export', case.config, case.checkpoint, *where)
    assert outcome.code == 0, outcome.output
    known = target_module('coreml').metadata_of(path)
    assert (known.task, known.size) == (task, (96, 96))
    if sys.platform != 'darwin':
        assert 'not compared with PyTorch' in outcome.output
        with pytest.raises(UserError, match='macOS alone'):
            load_exported(path)
    again = run_tool('export', case.config, case.checkpoint, *where)
    assert again.code == 1 and 'is a folder already' in again.output
