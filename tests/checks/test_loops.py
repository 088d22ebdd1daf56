"""A training loop ends, starts, and leaves checkpoints; else the setting is named."""

import pytest
from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.runner import EpochBasedTrainLoop

from helpers.tools import ROOT, run_tool
from mmca.checks.loops import loop_problems

CONFIGS = ROOT / 'configs'
TRAIN = ['train_dataloader']


def config(name: str, **options) -> Config:
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    for option, value in options.items():
        cfg[option] = value
    return cfg


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)
def test_the_projects_configs_have_none(path):
    assert loop_problems(Config.fromfile(path), TRAIN) == []


@pytest.mark.parametrize(
    'train_cfg',
    [
        dict(type='EpochBasedTrainLoop', max_epochs=3),
        dict(type='mmengine.EpochBasedTrainLoop', max_epochs=3),
        dict(type=EpochBasedTrainLoop, max_epochs=3),
        dict(by_epoch=True, max_epochs=3),
    ],
    ids=['name', 'scope', 'class', 'by_epoch'],
)
@pytest.mark.parametrize(
    'sampler, finite',
    [
        ('mmca.InfiniteSampler', 'mmca.DefaultSampler'),
        ('InfiniteSampler', 'DefaultSampler'),
        (InfiniteSampler, 'DefaultSampler'),
    ],
    ids=['mmca', 'name', 'class'],
)
@pytest.mark.input_fault(
    'Configs',
    'epochs over an endless sampler',
    'refused, the sampler to use named',
)
def test_an_endless_sampler_ends_no_epoch(train_cfg, sampler, finite):
    cfg = config('deeplabv3_mbv2ca_voc', train_cfg=train_cfg)
    cfg.train_dataloader.sampler.type = sampler
    (problem,) = loop_problems(cfg, TRAIN)
    assert problem.startswith('train_dataloader.sampler is InfiniteSampler, which ends no epoch')
    assert f'--cfg-options train_dataloader.sampler.type={finite}, or' in problem
    cfg.train_dataloader.sampler.type = finite
    assert loop_problems(cfg, TRAIN) == []


def test_mmdets_endless_batch_sampler():
    cfg = config('ssdlite320_mbv2ca_coco', train_cfg=dict(by_epoch=True, max_epochs=3))
    cfg.train_dataloader.sampler = None
    cfg.train_dataloader.batch_sampler = dict(type='MultiSourceSampler', batch_size=2)
    (problem,) = loop_problems(cfg, TRAIN)
    assert 'train_dataloader.batch_sampler is MultiSourceSampler' in problem


@pytest.mark.parametrize(
    'train_cfg, found',
    [
        (dict(type='IterBasedTrainLoop', max_epochs=3), 'train_cfg has max_epochs'),
        (dict(type='IterBasedTrainLoop'), 'train_cfg lacks max_iters'),
        (dict(by_epoch=False, max_iters=9, max_epochs=3), 'train_cfg has max_epochs'),
    ],
)
def test_the_length_is_that_of_the_loop(train_cfg, found):
    (problem,) = loop_problems(config('deeplabv3_mbv2ca_voc', train_cfg=train_cfg), TRAIN)
    assert problem.startswith(found)
    assert "dict(_delete_=True, type='IterBasedTrainLoop', max_iters=N)" in problem


@pytest.mark.input_fault(
    'Configs',
    'schedules in epochs for a training in iterations',
    'refused',
)
def test_schedulers_that_count_epochs_never_step_in_iterations():
    schedulers = [
        dict(type='LinearLR', by_epoch=False, end=10, start_factor=0.1),
        dict(type='MultiStepLR', milestones=[8, 11]),
        dict(type='CosineAnnealingLR', T_max=3, by_epoch=True, convert_to_iter_based=True),
    ]
    (problem,) = loop_problems(config('deeplabv3_mbv2ca_voc', param_scheduler=schedulers), TRAIN)
    assert problem.startswith('param_scheduler.1 (MultiStepLR) counts epochs, by_epoch=True')
    assert 'param_scheduler.1.by_epoch=False' in problem
    one = config('deeplabv3_mbv2ca_voc', param_scheduler=schedulers[1])
    assert loop_problems(one, TRAIN)[0].startswith('param_scheduler (MultiStepLR)')
    several = config('deeplabv3_mbv2ca_voc', param_scheduler=dict(head=schedulers))
    assert loop_problems(several, TRAIN)[0].startswith('param_scheduler.head.1 (MultiStepLR)')


@pytest.mark.parametrize(
    'name, options, problem',
    [
        ('deeplabv3_mbv2ca_voc', dict(by_epoch=True, interval=1), 'no checkpoint before the end'),
        ('deeplabv3_mbv2ca_voc', dict(by_epoch=True, interval=-1), ''),
        (
            'deeplabv3_mbv2ca_voc',
            dict(interval=30001, save_last=False, save_best=None),
            'interval=30001 and train_cfg.max_iters=30000',
        ),
        ('deeplabv3_mbv2ca_voc', dict(interval=30001, save_last=True), ''),
        (
            'mbv2ca_imagenet',
            dict(interval=-1, save_last=False, save_best=None),
            'would never write one: save_last=False, interval=-1',
        ),
        ('mbv2ca_imagenet', dict(by_epoch=False, interval=1000), ''),
        ('mbv2ca_imagenet', dict(interval='1'), "interval='1': give a whole number"),
    ],
)
@pytest.mark.input_fault(
    'Configs',
    'checkpoints at intervals that are never reached',
    'refused',
)
def test_checkpoints_are_written(name, options, problem):
    cfg = config(name)
    cfg.default_hooks.checkpoint.update(options)
    found = loop_problems(cfg, TRAIN)
    assert len(found) == bool(problem)
    assert problem in ''.join(found)


def test_a_test_asks_for_none_of_it():
    cfg = config('deeplabv3_mbv2ca_voc', train_cfg=dict(by_epoch=True, max_epochs=3))
    assert loop_problems(cfg, ['test_dataloader']) == []


def test_a_training_that_would_not_end_does_not_begin(tiny_config, tmp_path):
    config = tmp_path / 'epochs.py'
    config.write_text(
        f'_base_ = {str(tiny_config)!r}\n'
        "train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=1)\n"
    )
    outcome = run_tool('train', config, '--work-dir', tmp_path / 'work')
    assert outcome.code == 1
    assert 'Error: 1 problem(s) before the run starts:' in outcome.output
    assert 'train_dataloader.sampler.type=mmca.DefaultSampler' in outcome.output
    options = ['--cfg-options', 'train_dataloader.sampler.type=mmca.DefaultSampler']
    outcome = run_tool('train', config, '--work-dir', tmp_path / 'work', *options)
    assert outcome.code == 0, outcome.output


@pytest.mark.parametrize(
    'train_cfg, option',
    [
        (dict(type='IterBasedTrainLoop', max_iters=0), 'max_iters=0'),
        (dict(type='IterBasedTrainLoop', max_iters=9.5), 'max_iters=9.5'),
        (dict(by_epoch=True, max_epochs=-1), 'max_epochs=-1'),
        (dict(by_epoch=True, max_epochs=3, val_interval=0), 'val_interval=0'),
        (dict(type='IterBasedTrainLoop', max_iters=9, val_interval=-1), 'val_interval=-1'),
        (dict(type='IterBasedTrainLoop', max_iters=9, val_interval='1'), "val_interval='1'"),
    ],
)
@pytest.mark.input_fault(
    'Configs',
    'no iteration or epoch at all, an interval of validations that is no whole number from 1',
    'refused',
)
def test_lengths_and_intervals_are_whole_numbers(train_cfg, option):
    cfg = config('mbv2ca_imagenet', train_cfg=train_cfg, param_scheduler=[])
    cfg.default_hooks.checkpoint.by_epoch = 'max_epochs' in train_cfg
    (problem,) = loop_problems(cfg, TRAIN)
    assert problem.startswith(f'train_cfg.{option}: give a whole number from 1')
