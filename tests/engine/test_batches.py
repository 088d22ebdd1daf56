"""A loader gives batches, of all images where they are measured; else its setting is named."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import DefaultSampler, default_collate
from torch.utils.data import DataLoader

from helpers.tools import run_tool
from mmca.datasets.samplers import InfiniteSampler
from mmca.engine.batches import CollateNamingImages, channels, check_batches
from mmca.errors import UserError


def loader(images: int, batch_size: int, drop_last: bool = True, endless: bool = False):
    data = list(range(images))
    sampler = (InfiniteSampler if endless else DefaultSampler)(data, shuffle=False)
    return DataLoader(data, batch_size=batch_size, sampler=sampler, drop_last=drop_last)


@pytest.mark.parametrize('name', ['train_dataloader', 'val_dataloader', 'test_dataloader'])
@pytest.mark.input_fault(
    'Nothing to learn',
    'fewer images than a batch, with `drop_last`; a dataset whose options leave no sample',
    'refused, with the setting',
)
def test_a_loader_without_a_batch_is_named(name):
    with pytest.raises(UserError) as error:
        check_batches(loader(7, 8), name)
    assert str(error.value) == (
        f'{name}: 7 images make no batch of 8, and drop_last=True leaves out smaller ones: set '
        f'{name}.drop_last=False, or a smaller {name}.batch_size'
    )
    check_batches(loader(7, 8, drop_last=False), name)
    check_batches(loader(7, 8, endless=True), name)
    with pytest.raises(UserError, match=f'{name}: its dataset holds no sample'):
        check_batches(loader(0, 8, endless=True), name)


@pytest.mark.input_fault(
    'Metrics and pictures',
    '`drop_last` of a validation or test whose last batch is smaller',
    'refused: those images would not be measured',
)
def test_all_images_are_measured():
    with pytest.raises(UserError) as error:
        check_batches(loader(9, 4), 'val_dataloader')
    assert 'drop_last=True leaves out 1 of 9 images' in str(error.value)
    check_batches(loader(8, 4), 'val_dataloader')
    check_batches(loader(9, 4), 'train_dataloader')


def samples(*shapes):
    return [
        dict(inputs=torch.zeros(shape), data_samples=SimpleNamespace(img_path=f'{i}.png'))
        for i, shape in enumerate(shapes)
    ]


@pytest.mark.input_fault(
    'Images',
    'images of different sizes in one batch of mmpretrain',
    'refused, with two of them and their sizes',
)
def test_images_that_make_no_batch_are_named():
    collate = CollateNamingImages(
        lambda items: default_collate([item['inputs'] for item in items]), 'train_dataloader', 3
    )
    assert collate(samples((3, 8, 9), (3, 8, 9))).shape == (2, 3, 8, 9)
    with pytest.raises(UserError) as error:
        collate(samples((3, 8, 9), (3, 8, 9), (3, 7, 6)))
    assert str(error.value).startswith(
        'train_dataloader: 0.png is of 9x8 pixels when it leaves the pipeline, 2.png of 6x7'
    )
    with pytest.raises(RuntimeError, match='equal size'):
        CollateNamingImages(default_collate, 'val_dataloader')([torch.zeros(1), torch.zeros(2)])


@pytest.mark.input_fault(
    'Images',
    'images of another number of channels than the mean that is subtracted',
    'refused',
)
def test_channels_are_those_of_the_mean():
    collate = CollateNamingImages(list, 'train_dataloader', 3)
    assert len(collate(samples((3, 8, 9), (1, 8, 9)))) == 2
    with pytest.raises(UserError) as error:
        collate(samples((4, 8, 9)))
    assert str(error.value).startswith('train_dataloader: 0.png has 4 channels')


def test_a_run_asks_its_loaders(tiny_config, tmp_path):
    options = ['train_dataloader.sampler.type=DefaultSampler', 'train_dataloader.drop_last=True']
    options += ['train_dataloader.batch_size=100', 'randomness.seed=0']
    outcome = run_tool(
        'train', tiny_config, '--work-dir', tmp_path / 'work', '--cfg-options', *options
    )
    assert outcome.code == 1
    assert 'Error: train_dataloader: 24 images make no batch of 100' in outcome.output


def test_the_mean_is_that_of_the_model():
    preprocessor = SimpleNamespace(mean=torch.zeros(3, 1, 1))
    assert channels(SimpleNamespace(data_preprocessor=preprocessor)) == 3
    assert channels(SimpleNamespace(data_preprocessor=SimpleNamespace())) == 0
