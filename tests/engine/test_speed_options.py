"""--amp-bfloat16 and --channels-last of tools/train.py, without a GPU."""

import json

import pytest
import torch

from helpers.tools import run_tool
from mmca.checkpoint import load_file

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason='is about a machine without a GPU'
)


def scalars(work_dir) -> list[dict]:
    [file] = work_dir.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize('attention', ['mmca.CoordinateAttention', 'mmca.CBAM', None])
def test_bfloat16_in_channels_last_trains_what_float32_trains(tiny_config, tmp_path, attention):
    kind = f'dict(type="{attention}")' if attention else 'None'
    settings = ['--cfg-options', 'train_cfg.max_iters=3', 'default_hooks.logger.interval=1']
    settings += [f'model.backbone.attention={kind}']
    losses = {}
    for name, options in (('plain', []), ('fast', ['--amp-bfloat16', '--channels-last'])):
        outcome = run_tool('train', tiny_config, '--work-dir', tmp_path / name, *options, *settings)
        assert outcome.code == 0, outcome.output
        losses[name] = [record['loss'] for record in scalars(tmp_path / name) if 'loss' in record]
        weights = load_file(tmp_path / name / 'iter_3.pth')['state_dict']
        assert {value.dtype for value in weights.values()} == {torch.float32, torch.int64}
    assert 'no AMP' not in outcome.output
    # Three digits of bfloat16, and another rounding than float32's.
    assert losses['fast'] == pytest.approx(losses['plain'], rel=0.02)
    assert losses['fast'] != losses['plain']
