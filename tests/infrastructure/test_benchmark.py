"""benchmarks/attention.py as a user runs it; never how fast anything is."""

import importlib.util
import json
import os
import subprocess
import sys
from math import isfinite
from pathlib import Path

import pytest
from PIL import Image

from helpers import preloaded

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
HAS_TIMM = importlib.util.find_spec('timm') is not None
VARIANTS = {'plain', 'mmca', *(['timm'] if HAS_TIMM else [])}
TASKS = {('training', 2), ('saved for backward', 2), ('inference', 2), ('inference', 1)}


def benchmark(*arguments, python=sys.executable, **variables):
    return subprocess.run(
        [python, ROOT / 'benchmarks' / 'attention.py', *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | variables,
    )


@pytest.fixture(scope='module')
def quick(tmp_path_factory):
    """A quick run at the published image size: what it printed, and its folder."""
    out = tmp_path_factory.mktemp('benchmark') / 'run'
    done = benchmark('--quick', '--device', 'cpu', '--image-size', 224, '--out', out)
    assert done.returncode == 0, done.stderr
    return done, out


@pytest.fixture(scope='module')
def results(quick):
    return json.loads((quick[1] / 'results.json').read_text())


def test_all_is_measured_in_both_formats(results):
    for layout in ('NCHW', 'channels_last'):
        records = [r for r in results['measurements'] if r['memory_format'] == layout]
        [block] = [r for r in records if r['subject'] == 'block']
        assert set(block['variants']) == VARIANTS
        networks = [r for r in records if r['subject'] == 'network']
        assert {(r['task'], r['shape'][0]) for r in networks} == TASKS
        assert all(set(r['variants']) == {'none', *VARIANTS} for r in networks)


def test_figures_are_positive_and_the_baseline_is_one(results):
    for record in results['measurements']:
        assert record['variants'][record['baseline']]['ratio'] == 1
        for figures in record['variants'].values():
            numbers = [figures['median'], *figures['quartiles'], *figures['ratio_quartiles']]
            assert all(isfinite(number) and number > 0 for number in numbers)


def test_bytes_saved_for_backward(results):
    records = [r for r in results['measurements'] if r['task'] == 'saved for backward']
    assert len(records) == 2
    for record in records:
        # Torchvision's network keeps 1194 MiB at batch 16, the authors' block 21% more.
        assert record['variants']['none']['median'] == pytest.approx(1194 * 2 / 16, rel=0.01)
        assert record['variants']['plain']['ratio'] == pytest.approx(1.21, abs=0.01)
        plain = results['implementation']['name'] == 'plain'
        assert record['variants']['mmca']['ratio'] < (1.22 if plain else 1.03)


def test_floor_is_the_traffic_at_the_rate_of_a_copy(results):
    seconds = 4 / results['copy_rate']  # for a float32
    for record in results['measurements']:
        if record['subject'] == 'block':
            expected = 7 * 2 * 16 * 7 * 5 * seconds
        elif record['task'] == 'saved for backward':
            assert record['floor'] is None
            continue
        else:
            # Of MobileNetV2's blocks: channels and size of the map before the projection.
            maps = (96, 56), (144, 56), (144, 28), *[(192, 28)] * 2, (192, 14), *[(384, 14)] * 4
            maps += *[(576, 14)] * 2, (576, 7), *[(960, 7)] * 3
            elements = sum(channels * size**2 for channels, size in maps)
            passes = 7 if record['task'] == 'training' else 3
            expected = passes * record['shape'][0] * elements * seconds
            expected += record['variants']['none']['median'] / 1000
        assert record['floor'] == pytest.approx(1000 * expected, rel=1e-6)


def test_the_variants_compute_the_same(results):
    for record in results['measurements']:
        if record['subject'] == 'block':
            assert set(record['differences']) == VARIANTS
            assert max(record['differences'].values()) < 1e-4


def test_the_report_says_where_and_with_what(quick, results):
    done, out = quick
    used = results['implementation']
    assert used['name'] in ('plain', 'cpp', 'triton')
    assert f'mmca is `{used["name"]}`: {used["reason"]}' in done.stdout
    assert results['machine']['allocator'] == 'tuned'
    assert 'tuned allocator' in done.stdout
    assert results['machine']['cpu'] in done.stdout
    assert '**A quick run: its figures mean nothing.**' in done.stdout
    assert ('pip install timm' in done.stdout) != HAS_TIMM
    rows = [line for line in done.stdout.splitlines() if line.startswith('| ')]
    assert len(rows) == (2 + 8) + (2 + 2)  # header, rule and the records of two tables
    assert len(done.stderr.splitlines()) >= len(results['measurements'])
    with Image.open(out / 'chart.png') as chart:
        assert chart.width > 1000


def test_results_are_not_overwritten(quick):
    before = (quick[1] / 'results.json').read_bytes()
    done = benchmark('--quick', '--out', quick[1])
    assert done.returncode == 2
    assert 'results.json exists: name another folder with --out' in done.stderr
    assert (quick[1] / 'results.json').read_bytes() == before


def test_default_allocator_and_plain_expression(tmp_path):
    options = ('--quick', '--device', 'cpu', '--dtype', 'bfloat16', '--image-size', 32)
    done = benchmark(
        *options,
        *('--batch-size', 3, '--block', 1, 8, 1, 5, '--block', 2, 8, 6, 1),
        *('--allocator', 'default', '--out', tmp_path),
        MALLOC_MMAP_MAX_='0',
        MMCA_ATTENTION='plain',
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / 'results.json').read_text())
    assert results['machine']['allocator'] == 'default'
    assert results['implementation']['name'] == 'plain'
    assert results['settings']['dtype'] == 'bfloat16'
    blocks = [r for r in results['measurements'] if r['subject'] == 'block']
    assert [r['shape'] for r in blocks] == [[1, 8, 1, 5], [2, 8, 6, 1]] * 2
    assert all(r['differences']['mmca'] == 0 for r in blocks)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--rounds', '0'), "argument --rounds: '0' is not a whole number above 0"),
        (('--block', '1', '8', '7', 'x'), "argument --block: 'x' is not a whole number above 0"),
        (('--batch-size', '1', '--image-size', '32'), '--batch-size 2 or --image-size 33'),
        (('--dtype', 'int8'), "invalid choice: 'int8'"),
        (('--device', 'cuda:99'), '--device cuda:99 cannot be used: '),
        (('--device', 'gpu'), '--device gpu cannot be used: '),
        (('--device', 'meta'), '--device meta: only cpu and cuda can be measured'),
        (
            ('--device', 'cpu', '--dtype', 'float16'),
            '--dtype float16 needs a GPU: on the CPU use --dtype bfloat16',
        ),
    ],
)
def test_bad_arguments_are_one_line(tmp_path, arguments, message):
    done = benchmark('--quick', '--out', tmp_path / 'out', *arguments, python=preloaded.python())
    assert done.returncode != 0
    assert message in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'out').exists()


def test_loading_measures_each_pipeline_beside_its_peers(tmp_path):
    script = ROOT / 'benchmarks' / 'loading.py'
    options = ('--images', '2', '--rounds', '1', '--shrink', '4', '--workers', '0')
    done = subprocess.run(
        [sys.executable, script, *options, '--out', tmp_path / 'run'],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / 'run/results.json').read_text())['results']
    assert [record['pipeline'] for record in results][-3:] == ['voc2012', 'cityscapes', 'camvid']
    for record in results:
        rates = record['images_per_second']
        assert set(rates) == {'pillow', 'opencv', 'plain', 'torchvision', 'mmca'}
        assert all(rate > 0 for rate in [*rates.values(), *record['loader'].values()])
        assert 'SeedAugmentation' in record['milliseconds']
    assert (tmp_path / 'run/chart.png').is_file()


def test_memory_of_lists_and_cost_of_formats(tmp_path):
    script = ROOT / 'benchmarks' / 'loading_memory.py'
    options = ('--lists', 'coco', '--shrink', '100', '--workers', '2', '--out', tmp_path / 'm.json')
    subprocess.run([sys.executable, script, *options], check=True, capture_output=True)
    records = json.loads((tmp_path / 'm.json').read_text())['results']
    assert [(r['entries'], r['serialized']) for r in records] == [(1182, True), (1182, False)]
    assert all(record['megabytes_of_all_processes'] > 1 for record in records)
    script = ROOT / 'benchmarks' / 'loading_formats.py'
    Image.new('RGB', (64, 32), (9, 8, 7)).save(tmp_path / 'a.png')
    done = subprocess.run(
        [sys.executable, script, '--picture', tmp_path / 'a.png', '--rounds', '1'],
        check=True,
        capture_output=True,
        text=True,
    )
    assert '| BMP | 0.0 MB | ' in done.stdout
