"""benchmarks/attentions.py as a user runs it; never how fast anything is."""

import json
import subprocess
import sys
from math import isfinite
from pathlib import Path

import pytest
from PIL import Image

from helpers import preloaded

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / 'benchmarks/attentions.py'
ROWS = ['none', 'ca', 'simam']


def benchmark(*arguments, python=sys.executable):
    command = [python, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope='module')
def quick(tmp_path_factory):
    out = tmp_path_factory.mktemp('benchmark') / 'run'
    short = ('--rounds', 1, '--batch-size', 2, '--width', 0.25, '--results', out / 'none')
    done = benchmark(*short, '--rows', *ROWS, '--out', out)
    assert done.returncode == 0, done.stderr
    return done, out


@pytest.mark.slow
def test_times_are_relative_to_the_network_without_attention(quick):
    done, out = quick
    results = json.loads((out / 'results.json').read_text())
    assert results['machine']['threads'] == 1
    assert results['settings'] | {'rounds': 1, 'size': [64, 64]} == results['settings']
    assert list(results['attentions']) == ROWS
    for name, found in results['attentions'].items():
        for task in ('training', 'inference', 'onnx'):
            for times in found[task].values():
                numbers = [times['median'], times['ratio'], *times['ratio_quartiles']]
                assert all(isfinite(number) and number > 0 for number in numbers)
                assert name != 'none' or times['ratio'] == 1
    counts = {name: found['parameters'] for name, found in results['attentions'].items()}
    assert counts['simam'] == counts['none'] < counts['ca']
    rows = [line for line in done.stdout.splitlines() if line.startswith('| ')]
    assert len(rows) == 2 + len(ROWS)
    assert 'No chart: ' in done.stdout and not (out / 'chart.png').exists()


@pytest.mark.slow
def test_chart_of_the_trained_rows(quick, tmp_path):
    for seed, value in enumerate((60.0, 61.5, 62.0)):
        record = tmp_path / f'results/runs/mbv2ca_sample_w050_seed_{seed}.json'
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({'seed': seed, 'value': value}))
    options = ('--draw', quick[1] / 'results.json', '--results', tmp_path / 'results')
    done = benchmark(*options, '--out', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / 'out/chart.png') as chart:
        assert chart.width > 1000
    again = benchmark(*options, '--out', tmp_path / 'out', python=preloaded.python())
    assert again.returncode == 2
    assert 'chart.png exists: name another folder with --out' in again.stderr


def test_an_unknown_row_is_one_line(tmp_path):
    done = benchmark('--rows', 'xy', '--out', tmp_path / 'out', python=preloaded.python())
    assert done.returncode == 1
    assert 'Error: xy: no such row in attentions; there are ' in done.stderr
    assert not (tmp_path / 'out').exists()
