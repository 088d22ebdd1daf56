"""benchmarks/deployment.py as a user runs it; never how fast anything is."""

import json
import os
import subprocess

import pytest
from PIL import Image

from helpers import preloaded
from helpers.tools import ROOT
from mmca.export import load_exported

pytestmark = pytest.mark.slow
ONE_ROW = ['--tasks', 'classification', '--targets', 'onnx', '--sizes', 'fixed', '--threads', '1']


def benchmark(*arguments) -> str:
    done = subprocess.run(
        [preloaded.python(), ROOT / 'benchmarks/deployment.py', *ONE_ROW, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {'PYTHONPATH': str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_attentions_are_measured_beside_the_plain_network(tmp_path):
    files, out, chart = tmp_path / 'files', tmp_path / 'out.json', tmp_path / 'chart.png'
    options = ('--attentions', 'none', 'CA', '--int8', '--rounds', 2, '--files', files)
    printed = benchmark(*options, '--out', out, '--chart', chart)
    assert printed.count('classification, onnx, fixed') == 2
    records = json.loads(out.read_text())['results']
    assert [(one['attention'], one['int8']) for one in records] == [
        ('none', False),
        ('CA', False),
        ('none', True),
        ('CA', True),
    ]
    for one in records:
        assert one['cpu_ms'] > 0 and one['ms'] > 0 and one['peak_mib'] > 0
    assert [one['ratio'] for one in records[::2]] == [1, 1]
    # 3.505 and 3.951 million parameters of 4 bytes, these filled up to blocks of 16 features; with
    # 8 bits the last layer, 1.28 million of them, and the attention keep 4.
    sizes = [one['megabytes'] for one in records]
    assert sizes == pytest.approx([14.0, 16.4, 7.6, 10.1], abs=0.2)
    with Image.open(chart) as image:
        assert image.width > 300


def test_forms_of_coordinate_attention_are_written_to_files(tmp_path):
    forms = ('windows/in_turn', 'windows/spread/aligned')
    benchmark('--forms', *forms, '--files', tmp_path, '--write-only')
    found = {path.stem: load_exported(path) for path in tmp_path.rglob('*.onnx')}
    assert set(found) == {
        'classification_none_fixed',
        'classification_windows-in_turn_fixed',
        'classification_windows-spread-aligned_fixed',
    }
    assert all(network.metadata.size == (224, 224) for network in found.values())
