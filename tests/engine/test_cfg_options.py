"""Settings on the command line: values of every kind, and what is wrong with one, without a run."""

import argparse

import pytest
from mmengine.config import Config

from helpers.tools import run_tool
from mmca.engine.arguments import add_common_arguments
from mmca.engine.cfg_options import merge_options
from mmca.errors import UserError

PIPELINE = 'train_dataloader.dataset.pipeline'


def parsed(*texts: str) -> dict:
    parser = argparse.ArgumentParser()
    add_common_arguments(parser)
    return parser.parse_args(['--cfg-options', *texts]).cfg_options


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('3', 3),
        ('0.5', 0.5),
        ('None', None),
        ('a,b', ['a', 'b']),
        ('[(1, 2), (3, 4)]', [(1, 2), (3, 4)]),
        ("dict(type='EMAHook', momentum=0.1)", dict(type='EMAHook', momentum=0.1)),
        # A shell takes the inner quotes away.
        (
            '[dict(type=mmca.EMA,b=-1,c=[dict(d=None)])]',
            [dict(type='mmca.EMA', b=-1, c=[{'d': None}])],
        ),
        ('{"type": "A", "scale": (1, 2), "keep": true}', dict(type='A', scale=(1, 2), keep=True)),
    ],
)
@pytest.mark.input_fault(
    'Configs', '`dict(...)` and lists of them in `--cfg-options`, also without quotes', 'read'
)
def test_values(text, value):
    assert parsed(f'a.b={text}') == {'a.b': value}


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('train_cfg.max_iters', 'wants key=value without blanks'),
        ('=3', 'wants key=value without blanks'),
        ('a=[(1, 2)', '1 [ and 0 ]; put the whole into quotes'),
        ('a=[dict(type=A)', '1 [ and 0 ]'),
        ('a=[dict(type=A b=1)]', 'is no value such as'),
        ('a=dict(b=open("x"))', 'is no value such as'),
        ('a=dict(b=/data/x)', 'needs its own quotes'),
    ],
)
@pytest.mark.input_fault(
    'Configs', '`--cfg-options` without `=`, with brackets that do not match, or code', 'refused'
)
def test_what_is_no_setting(text, message):
    with pytest.raises(SystemExit) as end:
        parsed(text)
    assert end.value.code.startswith(f'Error: --cfg-options {text}: ')
    assert message in end.value.code


def config() -> Config:
    scale = (64, 64)
    pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=scale)]
    return Config(
        dict(
            scale=scale,
            model=dict(backbone=dict(type='A', depth=18), neck=None),
            train_cfg=dict(max_iters=9),
            train_dataloader=dict(dataset=dict(pipeline=pipeline)),
        )
    )


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('trian_cfg.max_iters', 'the config has no trian_cfg; did you mean train_cfg?'),
        ('model.bakcbone.depth', 'the config has no model.bakcbone; did you mean backbone?'),
        ('quite_another', 'the config has no quite_another'),
        (f'{PIPELINE}.7.scale', f'{PIPELINE} is a list of 2, counted from 0'),
        (f'{PIPELINE}.x.scale', f'{PIPELINE} is a list of 2, counted from 0'),
        ('model.backbone.depth.x', "model.backbone.depth is 18, which has no 'x' in it"),
        (
            'scale',
            'scale is a variable of the config file, which others have read already: nothing would '
            'change. Set train_dataloader.dataset.pipeline.1.scale',
        ),
        ('resume', 'give --resume instead'),
        ('launcher', 'give --launcher instead'),
    ],
)
@pytest.mark.input_fault(
    'Configs',
    '`--cfg-options` of a setting that is misspelt, not there, or a variable that is used up',
    'refused, with the near or the right one',
)
def test_settings_that_would_change_nothing(key, message):
    with pytest.raises(UserError) as error:
        merge_options(config(), {key: 1})
    assert str(error.value) == f'--cfg-options {key}=1: {message}'


def test_settings_that_a_config_leaves_out_may_be_given():
    cfg = config()
    options = {
        'optim_wrapper.clip_grad.max_norm': 1,
        'model.backbone.out_indices': (1,),
        'model.neck': dict(type='B'),
        'randomness.seed': 3,
        'train_dataloader.dataset.pipeline.1.scale': (8, 8),
    }
    merge_options(cfg, options)
    assert cfg.optim_wrapper.clip_grad.max_norm == 1 and cfg.randomness.seed == 3
    assert cfg.model.backbone == dict(type='A', depth=18, out_indices=(1,))
    assert cfg.model.neck == dict(type='B')
    assert cfg.train_dataloader.dataset.pipeline[1].scale == (8, 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('setting', 'message'),
    [
        (
            'train_cfg.max_iter=1',
            "train_cfg: IterBasedTrainLoop has no option 'max_iter': did you mean 'max_iters'?",
        ),
        (
            'model.decode_head.loss_decode.type=FocalLos',
            "model.decode_head.loss_decode: type='FocalLos' is not in the registry mmseg::model: "
            'did you mean FocalLoss?',
        ),
        (
            'train_dataloader.sampler.type=Foo',
            "train_dataloader.sampler: type='Foo' is not in the registry mmseg::data sampler: is "
            'its module in custom_imports?',
        ),
        (
            'train_dataloader.batch_sise=2',
            "DataLoader has no option 'batch_sise': did you mean 'ba",
        ),
        ('train_dataloader.batch_size=0', 'train_dataloader: batch_size should be a positive'),
        ('model.backbone.output_strde=8', "has no option 'output_strde': did you mean 'output_str"),
        ('model.backbone.widen_factor=0', 'MobileNetV2: widen_factor=0 must be above 0'),
        ('optim_wrapper.optimizer.type=Adamm', 'optim_wrapper={'),
        ('randomness.seed=x', "randomness={'seed': 'x'"),
        (
            'model.backbone=None',
            'Error: model: EncoderDecoder: a part of it is None, and no dict with a type',
        ),
        ("model.backbone={'_delete_': True, 'widen_factor': 1}", 'model.backbone: has no type'),
        ('train_dataloader.dataset=None', 'Error: train_dataloader.dataset=None: a dataset is a'),
        ('val_dataloader.dataset.datasets=[3]', 'val_dataloader.dataset.datasets.0=3: a dataset'),
        ('val_evaluator=None', 'should be either all None or not None: correct the config'),
    ],
)
@pytest.mark.input_fault(
    'Configs',
    'a setting with which a part cannot be built: its type, an option or its value',
    'refused, with the part, and the nearest name',
)
def test_what_cannot_be_built(tiny_config, tmp_path, setting, message):
    work_dir = tmp_path / 'work'
    outcome = run_tool('train', tiny_config, '--work-dir', work_dir, '--cfg-options', setting)
    assert outcome.code == 1
    error = outcome.output.splitlines()[-1]
    assert error.startswith('Error: ') and message in error
    assert 'Traceback' not in outcome.output


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a = dict(\n', 'line 1 is no Python'),
        ("_base_ = './gone.py'\n", 'gone.py'),
        ('a = b\n', "name 'b' is not defined"),
        ("custom_imports = dict(imports=['not_there'], allow_failed_imports=False)\n", 'not_there'),
        ('a = 1\n', 'has no model'),
    ],
)
@pytest.mark.input_fault(
    'Configs', 'a config that is no Python, or whose base or imports are missing', 'refused'
)
def test_configs_that_cannot_be_read(tmp_path, text, message):
    path = tmp_path / 'config.py'
    path.write_text(text)
    outcome = run_tool('train', path, '--work-dir', tmp_path / 'work')
    assert outcome.code == 1
    assert outcome.output.startswith(f'Error: {path}: ') and message in outcome.output
    assert 'Traceback' not in outcome.output
