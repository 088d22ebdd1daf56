"""Batch norm of a single image: the setting is named before the first step, or at it."""

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.registry import MODELS, DefaultScope
from torch.utils.data import DataLoader

from helpers.tools import ROOT, run_tool
from mmca.datasets.samplers import InfiniteSampler
from mmca.engine.batch_norm import check_single_images, single_values_told
from mmca.errors import UserError


def loader(images: int, batch_size: int, drop_last: bool = False, endless: bool = False):
    data = list(range(images))
    sampler = (InfiniteSampler if endless else DefaultSampler)(data, shuffle=False)
    return DataLoader(data, batch_size=batch_size, sampler=sampler, drop_last=drop_last)


def built(name: str, **options):
    cfg = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    cfg.merge_from_dict(options)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(cfg.model), cfg


@pytest.mark.parametrize(
    'name, options, layer',
    [
        ('deeplabv3_mbv2ca_sample', {}, 'decode_head.image_pool.1.bn'),
        ('ssdlite320_mbv2ca_sample', {}, 'neck.extra_layers.3.'),
        # 32 pixels are one place at stride 32.
        ('mbv2ca_sample', dict(crop_size=32), 'backbone.layer'),
    ],
)
@pytest.mark.input_fault(
    'Configs',
    'one image a batch where batch norm needs two',
    'refused, with the setting',
)
def test_a_batch_of_one(name, options, layer):
    model, cfg = built(name, **options)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    with pytest.raises(UserError) as error:
        check_single_images(model, loader(8, 1, endless=True), cfg)
    message = str(error.value)
    assert message.startswith('train_dataloader.batch_size=1: set it to 2 or more.')
    assert layer in message
    # The model and the stream of random numbers are as they were.
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())
    assert torch.get_rng_state().equal(state)

    with pytest.raises(UserError) as error:
        check_single_images(model, loader(9, 4), cfg)
    assert 'train_dataloader.batch_size=4: set train_dataloader.drop_last=True' in str(error.value)
    assert 'Of 9 images the last batch of an epoch is one' in str(error.value)
    for fine in (loader(9, 4, drop_last=True), loader(9, 4, endless=True), loader(10, 4)):
        check_single_images(model, fine, cfg)


def test_one_image_is_enough_for_large_maps_and_other_norms():
    model, cfg = built('mbv2ca_sample')
    check_single_images(model, loader(8, 1), cfg)
    norm = dict(type='GN', num_groups=1)
    model, cfg = built(
        'deeplabv3_mbv2ca_sample', **{'model.decode_head.norm_cfg': dict(_delete_=True, **norm)}
    )
    check_single_images(model, loader(8, 1), cfg)


def test_at_the_step():
    with pytest.raises(UserError, match='batch_size to 2 or more'), single_values_told():
        torch.nn.BatchNorm2d(3)(torch.zeros(1, 3, 1, 1))
    with pytest.raises(ValueError, match='another'), single_values_told():
        raise ValueError('another')


def test_a_training_does_not_begin(tiny_config, tmp_path):
    options = ['--cfg-options', 'train_dataloader.batch_size=1']
    outcome = run_tool('train', tiny_config, '--work-dir', tmp_path, *options)
    assert outcome.code == 1
    assert 'Error: train_dataloader.batch_size=1: set it to 2 or more' in outcome.output
    assert 'decode_head.image_pool' in outcome.output
