"""What a training logged, read and drawn."""

import json

import pytest

from mmca.pictures import draw_curves
from mmca.tables import DEEPLAB
from mmca.training_log import read_scalars


def test_curves_join_the_parts_of_an_interrupted_run(tmp_path):
    for stamp, steps in (('20260101_000000', range(1, 8)), ('20260101_010000', range(5, 11))):
        log = tmp_path / stamp / 'vis_data/scalars.json'
        log.parent.mkdir(parents=True)
        rows = [dict(loss=1 / s + (stamp > '20260101_000001'), step=s) for s in steps]
        log.write_text('\n'.join(map(json.dumps, [*rows, dict(mIoU=50.0, step=steps[-1])])))
    scalars = read_scalars(tmp_path)
    losses = {s['step']: s['loss'] for s in scalars if 'loss' in s}
    assert sorted(losses) == list(range(1, 11))
    assert losses[4] == 1 / 4 and losses[5] == 1 / 5 + 1  # the later run's record counts
    draw_curves(dict(run=tmp_path), DEEPLAB.sample_metric, tmp_path / 'curves.png')
    assert (tmp_path / 'curves.png').stat().st_size > 5000


def test_curves_of_an_empty_folder_name_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}.*was it trained here'):
        read_scalars(tmp_path)
