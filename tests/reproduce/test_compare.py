"""Rows against the one without attention: paired by seed, with intervals, class by class."""

import pytest

from mmca.reproduce.chart import draw_curves
from mmca.reproduce.compare import comparison, difference
from mmca.reproduce.report import Entry, render
from mmca.reproduce.settings import Settings
from mmca.tables import find_run


def entries(**values) -> list[Entry]:
    """Rows of CamVid's table with runs of these (mIoU, IoU of the pole) by attention."""
    found = []
    for row in find_run('camvid_deeplabv3'):
        runs = {
            seed: dict(
                value=value,
                metrics={'mIoU': value, 'IoU.sky': 90.0, 'IoU.pole': pole},
                curve=[[230, value / 2], [460, value]][seed % 2 :],
            )
            for seed, (value, pole) in enumerate(values.get(row.attention, []))
        }
        found.append(Entry(row, runs))
    return found


def test_differences_are_paired_by_seed():
    # Seeds differ by 10 points, rows by 1, 1.1 and 1.2.
    found = difference({0: 31.0, 1: 41.1, 2: 51.2, 7: 0.0}, {0: 30.0, 1: 40.0, 2: 50.0})
    assert found.seeds == 3
    assert found.mean == pytest.approx(1.1)
    # Student's t of two degrees of freedom, 4.303, times the deviation 0.1, by the root of 3.
    assert found.half == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)
    assert found.is_shown and str(found) == '+1.10 ± 0.25'
    single = difference({1: 3.0}, {1: 2.0})
    assert single.half is None and not single.is_shown and str(single) == '+1.00'
    assert difference({1: 3.0}, {0: 2.0}) is None


def test_a_report_compares_the_metric_and_each_class():
    text = comparison(
        entries(
            none=[(40, 1.0), (42, 2.0), (44, 3.0)],
            se=[(41, 9.0), (41, 9.0), (41, 9.0)],
            ca=[(41, 3.0), (43.1, 4.0), (45.2, 5.0)],
        )
    )
    lines = text.splitlines()
    assert '| ca | 3 | +1.10 ± 0.25 | yes |' in lines
    assert '| se | 3 | -1.00 ± 4.97 | no |' in lines
    assert '| class | none | se | ca |' in lines
    assert '| pole | 2.00 | +7.00 ± 2.48 | +2.00 ± 0.00 |' in lines
    assert '| sky | 90.00 | +0.00 ± 0.00 | +0.00 ± 0.00 |' in lines
    assert 'cbam' not in text


def test_nothing_to_compare_is_nothing():
    assert comparison(entries(none=[(40, 1.0)])) == ''
    assert comparison(entries(ca=[(40, 1.0)])) == ''


def test_curves_of_runs_that_were_interrupted_are_drawn(tmp_path):
    out = tmp_path / 'curves.png'
    draw_curves(entries(none=[(40, 1.0), (42, 2.0)], ca=[(41, 3.0)]), out)
    assert out.stat().st_size > 5000


def test_a_report_names_the_options_of_its_runs():
    found = entries(none=[(40, 1.0), (42, 2.0)])
    for run in found[0].runs.values():
        run['train_options'] = ['--amp-bfloat16', '--channels-last']
        run |= dict(machine=dict(cpu='a CPU', threads=1), versions=dict(torch='2'))
    command = 'python tools/reproduce.py run camvid_deeplabv3 --seeds 2'
    text = render('camvid_deeplabv3', found, Settings())
    assert f'Made by `{command} --amp-bfloat16 --channels-last`' in text
    found[0].runs[0]['train_options'] = []
    assert f'Made by `{command}`' in render('camvid_deeplabv3', found, Settings())
