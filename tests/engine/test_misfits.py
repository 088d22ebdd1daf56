"""Parts of a network that do not fit together: the part and its setting are named."""

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from helpers.tools import ROOT, run_tool
from helpers.training_step import drawn_batch
from mmca.engine.misfits import misfits_told
from mmca.errors import UserError


@pytest.mark.parametrize(
    ('name', 'options', 'message'),
    [
        (
            'deeplabv3_mbv2ca_sample',
            {'model.backbone.widen_factor': 0.5},
            'model.decode_head.image_pool.1.conv takes 320 channels and is given 160: ',
        ),
        (
            'ssdlite320_mbv2ca_sample',
            {'model.backbone.widen_factor': 0.5},
            'model.bbox_head.',
        ),
        (
            'mbv2ca_sample',
            {'model.head.in_channels': 640},
            'model.head.fc takes 640 channels and is given 1280: ',
        ),
        (
            'deeplabv3_mbv2ca_sample',
            {'model.decode_head.in_index': 2},
            'model.decode_head.in_index=2 is none of the maps',
        ),
        (
            'deeplabv3_mbv2ca_sample',
            {'model.decode_head.loss_decode.class_weight': [1.0, 2.0]},
            'model.decode_head.loss_decode.class_weight: give one number for each class',
        ),
    ],
)
@pytest.mark.input_fault(
    'Configs',
    'parts of a network that do not fit together: `in_channels`, `in_index`, `class_weight`',
    'one error, with the part and the setting',
)
def test_parts_that_do_not_fit(name, options, message):
    cfg = Config.fromfile(ROOT / f'configs/{name}.py')
    cfg.merge_from_dict(options)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
        batch = drawn_batch(cfg.default_scope, 64)
        with pytest.raises(UserError) as error, misfits_told(model):
            model(**model.data_preprocessor(batch, True), mode='loss')
    assert str(error.value).startswith(message)
    if 'channels' in message:
        part = '.'.join(message.split('.')[:2])
        assert f'set {part}.in_channels to what comes before it gives' in str(error.value)


def test_other_errors_stay_as_they_are():
    for error in (RuntimeError('CUDA out of memory'), IndexError('list index out of range')):
        with pytest.raises(type(error), match=str(error)), misfits_told(nn.Linear(1, 1)):
            raise error


def test_a_training_says_so(tiny_config, tmp_path):
    outcome = run_tool(
        *('train', tiny_config, '--work-dir', tmp_path / 'work'),
        *('--cfg-options', 'model.decode_head.in_channels=320'),
    )
    assert outcome.code == 1
    assert 'Error: model.decode_head.' in outcome.output
    assert 'takes 320 channels and is given 80' in outcome.output
