"""SSD's augmentation as one resampling equals the row of transforms that it stands for."""

import copy

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.utils import register_all_modules
from mmengine.dataset import Compose

from mmca.datasets.transforms.ssd_augmentation import SSDAugmentation

SIZE = (48, 40)
EXPAND = dict(mean=[123, 117, 104], to_rgb=True, ratio_range=(1, 4))
NO_COLOURS = dict(
    brightness_delta=0,
    contrast_range=(1, 1),
    saturation_range=(1, 1),
    hue_delta=0,
)


@pytest.fixture(autouse=True)
def registries():
    register_all_modules(init_default_scope=True)


def row(photometric, expand):
    return Compose(
        [
            dict(type='PhotoMetricDistortion', **photometric),
            dict(type='Expand', **expand),
            dict(type='mmca.RandomSampleCrop'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='Resize', scale=SIZE, keep_ratio=False),
        ]
    )


def sample(boxes=((10, 20, 60, 70), (70, 5, 94, 30), (0, 0, 12, 12)), colour=None):
    """A smooth picture of 96x72 pixels."""
    rows, columns = np.mgrid[:72, :96]
    image = np.stack([columns * 2 + 20, rows * 3 + 10, 240 - columns - rows], -1).astype(np.uint8)
    if colour is not None:
        image[:] = colour
    return dict(
        img=image,
        img_shape=image.shape[:2],
        gt_bboxes=HorizontalBoxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)),
        gt_bboxes_labels=np.arange(len(boxes)),
        gt_ignore_flags=np.arange(len(boxes)) == 2,
    )


def both(photometric, expand, count, **options):
    """Results of the row and of the one transform with equal random numbers."""
    plain = row(photometric, expand)
    fused = SSDAugmentation(scale=SIZE, photometric=photometric, expand=expand)
    for seed in range(count):
        outcomes = []
        for transform in (plain, fused):
            np.random.seed(seed)
            outcomes.append(transform(copy.deepcopy(sample(**options))))
            outcomes[-1]['next'] = np.random.rand()
        yield outcomes


@pytest.mark.parametrize('photometric', [{}, NO_COLOURS], ids=['colours', 'no colours'])
def test_the_same_draws_give_the_same_boxes_and_pixels(photometric):
    means = []
    for plain, fused in both(photometric, EXPAND, 150):
        assert torch.equal(plain['gt_bboxes'].tensor, fused['gt_bboxes'].tensor)
        for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
            np.testing.assert_array_equal(plain[key], fused[key])
        for key in (
            *('img_shape', 'scale', 'scale_factor', 'keep_ratio', 'flip', 'flip_direction'),
            'next',
        ):
            assert plain[key] == fused[key], key
        assert fused['img'].dtype == plain['img'].dtype == np.float32
        difference = np.abs(plain['img'] - fused['img'])
        means.append(difference.mean())
    assert np.mean(means) < 0.1 and max(means) < 1  # of 255 levels


def test_the_fill_is_the_mean_and_mixes_with_the_border_as_the_canvas_does():
    """On one colour interpolation inside is exact: all that can differ is the border."""
    filled = 0
    for plain, fused in both({}, dict(EXPAND, prob=1), 100, colour=(200, 40, 90)):
        mean = np.array([104, 117, 123], np.float32)
        outside = (plain['img'] == mean).all(-1)
        np.testing.assert_array_equal((fused['img'] == mean).all(-1), outside)
        # Positions are rounded to 1/32 of a pixel nowhere but in pixels of the image.
        np.testing.assert_allclose(fused['img'], plain['img'], atol=0.02)
        filled += outside.any()
    assert filled > 50


def test_images_without_boxes_and_boxes_outside_of_the_image():
    for boxes in ((), ((200, 200, 220, 220),)):
        for plain, fused in both({}, dict(EXPAND, prob=1), 30, boxes=boxes):
            assert torch.equal(plain['gt_bboxes'].tensor, fused['gt_bboxes'].tensor)
            assert np.abs(plain['img'] - fused['img']).mean() < 1


def test_the_sample_is_not_changed_and_masks_are_refused():
    given = sample()
    image = given['img'].copy()
    SSDAugmentation(scale=SIZE, expand=EXPAND)(given)
    np.testing.assert_array_equal(sample()['img'], image)
    with pytest.raises(ValueError, match='gt_masks would not follow the boxes'):
        SSDAugmentation(scale=SIZE)(dict(sample(), gt_masks=object()))
    with pytest.raises(ValueError, match='scale'):
        SSDAugmentation(scale=(320,))
    with pytest.raises(TypeError, match="did you mean 'expand'"):
        SSDAugmentation(scale=SIZE, expnd={})
