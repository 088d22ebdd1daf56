"""benchmarks/gates.py as a user runs it, on tiny drawn pictures; never how well anything trains."""

import json
import os
import subprocess
from math import isfinite

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import preloaded
from helpers.tools import ROOT
from mmca.models import MobileNetV2

INSERTED = ['none', 'bias 0', 'bias 1', 'bias 2', 'bias 3']
FRESH = ['none', 'ca', 'ca, bias 2', 'ca, warm-up']
SHORT = ['--iterations', 3, 3, '--widths', 0.1, 0.1, '--every', 2, '--train', 8, '--test', 4]
SHORT += ['--batch-size', 4, '--image-size', 33, '--float32', '--lr', 0.1, 0.1]


def benchmark(*arguments):
    return subprocess.run(
        [preloaded.python(), ROOT / 'benchmarks/gates.py', *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {'PYTHONPATH': str(ROOT)},
    )


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
    """Options that name two classes of drawn pictures, and weights of a plain network."""
    folder = tmp_path_factory.mktemp('gates')
    draws = np.random.default_rng(0)
    for part, count in (('train', 4), ('test', 2)):
        for label in ('bright', 'dark'):
            (folder / part / label).mkdir(parents=True)
            for number in range(count):
                pixels = draws.integers(0, 128, (16, 16, 3)) + (128 if label == 'bright' else 0)
                picture = Image.fromarray(pixels.astype(np.uint8))
                picture.save(folder / part / label / f'{number}.png')
    state = MobileNetV2(widen_factor=0.1, out_indices=(7,)).state_dict()
    state = {f'backbone.{key}': value for key, value in state.items()}
    torch.save({'state_dict': state}, folder / 'plain.pth')
    return ['--data', folder, '--weights', folder / 'plain.pth', *SHORT]


@pytest.fixture(scope='module')
def quick(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp('benchmark')
    done = benchmark(
        *inputs, '--seeds', 2, '--out', out / 'gates.json', '--chart', out / 'gates.png'
    )
    assert done.returncode == 0, done.stderr
    return done, out


@pytest.mark.slow
def test_gates_move_and_all_is_finite(quick):
    done, out = quick
    results = json.loads((out / 'gates.json').read_text())
    assert results['machine']['threads'] == 1
    assert {part: list(runs) for part, runs in results['runs'].items()} == {
        'inserted': INSERTED,
        'fresh': FRESH,
    }
    for part, variants in results['runs'].items():
        for name, seeds in variants.items():
            assert list(seeds) == ['0', '1']
            for run in seeds.values():
                records = run['records']
                assert 0 <= run['test_accuracy'] <= 100
                assert records['iteration'] == [0, 2]
                assert all(isfinite(value) for column in records.values() for value in column)
                assert ('gates_std' in records) == (name != 'none')
                assert ('start_differs_by' in run) == (part == 'inserted' and name != 'none')
    for bias in range(4):
        records = results['runs']['inserted'][f'bias {bias}']['0']['records']
        assert records['gates_std'][0] == 0 < records['gates_std'][1]
        assert records['gates_mean'][0] == pytest.approx(1 / (1 + np.exp(-bias)), rel=1e-3)
    tables = [line for line in done.stdout.splitlines() if line.startswith('| ')]
    assert len(tables) == 2 * (2 + len(INSERTED)) + 2 * (2 + len(FRESH))
    with Image.open(out / 'gates.png') as chart:
        assert chart.width > 1000


@pytest.mark.slow
def test_a_seed_starts_the_same_in_all_variants(quick):
    runs = json.loads((quick[1] / 'gates.json').read_text())['runs']['inserted']
    first = {name: seeds['0']['records']['loss'][0] for name, seeds in runs.items()}
    assert list(first.values()) == pytest.approx([first['none']] * len(first), rel=1e-3)
    assert runs['none']['1']['records']['loss'][0] != first['none']


@pytest.mark.slow
def test_what_is_there_is_not_trained_again(quick, inputs):
    path = quick[1] / 'gates.json'
    results = json.loads(path.read_text())
    lost = results['runs']['fresh']['ca'].pop('1')
    path.write_text(json.dumps(results))
    again = benchmark(*inputs, '--seeds', 2, '--out', path)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count('seed') == 1 and 'fresh, ca, seed 1' in again.stderr
    found = json.loads(path.read_text())['runs']['fresh']['ca']['1']
    assert found['records']['loss'] == pytest.approx(lost['records']['loss'], rel=1e-3)


def test_other_settings_and_missing_pictures_are_one_line(inputs, tmp_path):
    out = tmp_path / 'gates.json'
    few = benchmark(*inputs, '--train', 100, '--out', out)
    assert few.returncode == 1
    assert few.stderr.startswith('Error: ') and '100 pictures, equally many of each' in few.stderr
    out.write_text('{"settings": {}}')
    other = benchmark(*inputs, '--out', out)
    assert other.returncode == 1
    assert 'was measured with other settings; name another file' in other.stderr
