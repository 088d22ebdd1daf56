"""Configs of one method and dataset differ in the backbone alone: one of them is trained."""

import re

import pytest
from mmengine.config import Config

from helpers.tools import ROOT

CONFIGS = sorted(path.stem for path in (ROOT / 'configs').glob('*.py'))
OWN_SCHEDULE = {'ssdlite320_mbv2ca_coco_1gpu'}


def plain(name: str) -> str:
    """The config of the same network without attention, at full width."""
    kinds = 'se|cbam|cbamhswish|ca|carelu|eca|triplet|simam|ema|ela|scsa|strip'
    name = re.sub(rf'(mbv2|mnext|effnetb0)({kinds})?(_x|_y|_r\d\d|_last)?_', r'\1_', name)
    return re.sub(r'_w0\d\d$', '', name)


def load(name: str) -> tuple[dict, dict]:
    """The config without its backbone, and the backbone."""
    cfg = Config.fromfile(ROOT / f'configs/{name}.py').to_dict()
    return cfg, cfg['model'].pop('backbone')


@pytest.mark.parametrize(
    'name', [name for name in CONFIGS if plain(name) != name and name not in OWN_SCHEDULE]
)
def test_attention_and_width_are_all_that_differs(name):
    rest, backbone = load(name)
    plain_rest, plain_backbone = load(plain(name))
    assert rest == plain_rest
    keys = {*backbone, *plain_backbone}
    changed = {key for key in keys if backbone.get(key) != plain_backbone.get(key)}
    assert changed and changed <= {
        'attention',
        'attention_position',
        'insert_attention',
        'widen_factor',
    }
