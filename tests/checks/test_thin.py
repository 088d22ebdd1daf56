"""What a resize that keeps the shape leaves nothing of is named before the run."""

import numpy as np
import pytest
from mmcv.transforms import RandomResize, Resize

from mmca.checks.thin import thin_images

BASE = dict(type='Resize', keep_ratio=True)


@pytest.mark.parametrize(
    ('options', 'size', 'setting'),
    [
        (dict(BASE, scale=(512, 512)), (1500, 1), 'Resize(scale=(512, 512))'),
        (dict(BASE, scale=(512, 512)), (1, 1500), 'Resize(scale=(512, 512))'),
        (dict(BASE, scale=(512, 512)), (1000, 1), None),
        (dict(BASE, scale=(512, 512), keep_ratio=False), (1500, 1), None),
        (dict(type='Resize', scale_factor=0.4), (40, 1), 'Resize(scale_factor=0.4)'),
        (dict(type='Resize', scale_factor=0.5), (40, 1), None),
    ],
)
def test_it_says_what_mmcv_fails_with(options, size, setting):
    problem = thin_images([dict(type='LoadImageFromFile'), options])(size)
    image = dict(img=np.zeros((size[1], size[0], 3), np.uint8))
    resize = Resize(**{key: value for key, value in options.items() if key != 'type'})
    if setting is None:
        assert problem is None
        assert min(resize(image)['img'].shape) > 0
    else:
        assert problem.startswith(f'is of {size[0]}x{size[1]} pixels, of which {setting} leaves')
        with pytest.raises(Exception, match='resize'):
            resize(image)


def test_the_smallest_of_random_scales_counts():
    options = dict(scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True)
    thin = thin_images([dict(type='RandomResize', **options)])
    assert thin((3000, 1)) and not thin((2000, 1))
    smallest = RandomResize(scale=(1024, 256), ratio_range=(1, 1), keep_ratio=True)
    with pytest.raises(Exception, match='resize'):
        smallest(dict(img=np.zeros((1, 3000, 3), np.uint8)))


def test_what_resizes_and_crops_in_one_counts():
    one = dict(type='mmca.SegAugmentation', scale=(2048, 512), crop_size=(512, 512))
    thin = thin_images([one, dict(BASE, scale_factor=0.1)])
    assert thin((3000, 1)).startswith('is of 3000x1 pixels, of which SegAugmentation(scale=')
    assert not thin((2000, 1))


def test_alternatives_all_count_and_what_follows_a_crop_does_not():
    several = dict(type='TestTimeAug', transforms=[[dict(BASE, scale_factor=f) for f in (1, 0.1)]])
    assert thin_images([several])((90, 4)) and not thin_images([several])((90, 5))
    scales = dict(type='RandomChoiceResize', scales=[64, 512], keep_ratio=True)
    assert thin_images([scales])((200, 1)) and not thin_images([scales])((100, 1))
    edge = dict(type='ResizeEdge', scale=64, edge='long')
    assert thin_images([edge])((100, 1)) and not thin_images([edge])((64, 1))
    crop = dict(type='RandomCrop', crop_size=(64, 64))
    assert thin_images([crop, dict(BASE, scale_factor=0.1)])((90, 4)) is None
