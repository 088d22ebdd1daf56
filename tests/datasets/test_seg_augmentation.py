"""Segmentation's augmentation of what the crop shows equals the row that it stands for."""

import copy

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmseg.utils import register_all_modules

from mmca.datasets.transforms.resampling import resized_labels_part, resized_part
from mmca.datasets.transforms.seg_augmentation import SegAugmentation

CROP = (48, 64)
SCALE = (96, 72)
KEYS = (
    *('img_shape', 'pad_shape', 'scale', 'scale_factor', 'keep_ratio', 'flip', 'flip_direction'),
    *('pad_fixed_size', 'pad_size_divisor', 'swap_seg_labels', 'next'),
)


@pytest.fixture(autouse=True)
def registries():
    register_all_modules(init_default_scope=True)


def row(scale, ratio_range, cat_max_ratio, rotate, blur, photometric):
    """The libraries' plain transforms."""
    colours = [] if photometric is None else [dict(type='PhotoMetricDistortion', **photometric)]
    return Compose(
        [
            dict(type='RandomResize', scale=scale, ratio_range=ratio_range, keep_ratio=True),
            *([dict(type='RandomRotate', **rotate)] if rotate else []),
            dict(type='RandomCrop', crop_size=CROP, cat_max_ratio=cat_max_ratio, ignore_index=7),
            *([dict(type='mmca.RandomGaussianBlur', **blur)] if blur else []),
            dict(type='RandomFlip', prob=0.5),
            *colours,
            dict(type='Pad', size=CROP[::-1], pad_val=dict(img=3, seg=7)),
        ]
    )


def sample(seed, height=72, width=96, masked=True, labels=(0, 0, 0, 1, 7)):
    """A picture of smooth colours, and labels of patches, many of them ignored."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 24 + 2, width // 24 + 2, 3), np.uint8)
    results = dict(img=cv2.resize(coarse, (width, height)), seg_fields=[])
    if masked:
        mask = rng.choice(labels, (height // 16 + 1, width // 16 + 1))
        mask = mask.repeat(16, 0).repeat(16, 1)[:height, :width]
        results.update(gt_seg_map=mask.astype(np.uint8), seg_fields=['gt_seg_map'])
    return results


def both(count, scale=SCALE, rotate=None, blur=None, photometric=None, cat_max_ratio=0.75, **size):
    """Results of the row and of the one transform with equal random numbers."""
    options = dict(rotate=rotate, blur=blur, photometric=photometric, cat_max_ratio=cat_max_ratio)
    plain = row(scale, (0.5, 2.0), **options)
    fused = SegAugmentation(
        scale, CROP, (0.5, 2.0), ignore_index=7, pad_val=dict(img=3, seg=7), **options
    )
    for seed in range(count):
        outcomes = []
        for transform in (plain, fused):
            np.random.seed(seed)
            outcomes.append(transform(copy.deepcopy(sample(seed, **size))))
            outcomes[-1]['next'] = np.random.rand()
        yield outcomes


def difference(plain, fused):
    assert fused['img'].dtype == plain['img'].dtype == np.uint8
    for key in KEYS:
        assert plain.get(key) == fused.get(key), key
    return np.abs(plain['img'].astype(int) - fused['img'])


@pytest.mark.parametrize('photometric', [None, {}], ids=['no colours', 'colours'])
def test_the_same_draws_give_the_same_labels_and_pixels(photometric):
    means, drawn_again = [], 0
    for plain, fused in both(150, photometric=photometric):
        np.testing.assert_array_equal(fused['gt_seg_map'], plain['gt_seg_map'])
        means.append(difference(plain, fused).mean())
    assert np.mean(means) < 0.25 and max(means) < 1  # of 255 levels
    for (plain, _), (once, _) in zip(both(50), both(50, cat_max_ratio=1.0), strict=True):
        drawn_again += plain['next'] != once['next']
    assert drawn_again > 10  # crops of nearly one label were refused


@pytest.mark.parametrize('labels', [range(30), (7, 7, 7, 7, 2), (7,), (5,)])
@pytest.mark.parametrize('cat_max_ratio', [0.1, 0.6])
def test_labels_of_a_crop_are_counted_as_mmseg_does(labels, cat_max_ratio):
    for plain, fused in both(25, labels=labels, cat_max_ratio=cat_max_ratio):
        assert plain['next'] == fused['next']
        np.testing.assert_array_equal(fused['gt_seg_map'], plain['gt_seg_map'])


def test_the_recipe_of_cityscapes_rotates_and_blurs():
    """Places are rounded to 1/32 of a pixel by OpenCV, here of other numbers."""
    means = []
    rotate = dict(prob=0.8, degree=10.0, pad_val=0, seg_pad_val=7)
    for plain, fused in both(100, rotate=rotate, blur=dict(prob=0.5), cat_max_ratio=1.0):
        np.testing.assert_array_equal(fused['gt_seg_map'], plain['gt_seg_map'])
        means.append(difference(plain, fused).mean())
    assert np.mean(means) < 0.5 and max(means) < 1.5


@pytest.mark.parametrize(('height', 'width'), [(20, 200), (150, 31), (13, 17), (1, 3)])
def test_images_smaller_than_the_crop_or_thin_are_padded(height, width):
    for plain, fused in both(30, scale=(128, 64), height=height, width=width):
        np.testing.assert_array_equal(fused['gt_seg_map'], plain['gt_seg_map'])
        assert difference(plain, fused).mean() < 1


def test_a_part_of_a_resized_image_is_that_part_at_any_scale():
    rng = np.random.default_rng(0)
    exact = 0
    for _ in range(200):
        height, width = rng.integers(2, 90, 2)
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        size = tuple(int(side) for side in rng.integers(1, 200, 2))
        y1, x1 = rng.integers(0, size[1]), rng.integers(0, size[0])
        box = (y1, rng.integers(y1, size[1]) + 1, x1, rng.integers(x1, size[0]) + 1)
        inside = (slice(*box[:2]), slice(*box[2:]))
        whole = cv2.resize(image, size)[inside]
        part = resized_part(image, size, box)
        # 1/64 of the step between two pixels, in each direction, and rounding.
        assert np.abs(whole.astype(int) - part).max() <= 2 * 255 / 64 + 1
        exact += np.array_equal(whole, part)
        labels = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)[inside]
        np.testing.assert_array_equal(resized_labels_part(image, size, box), labels)
    assert exact > 20


@pytest.mark.parametrize('name', ['picture.jpg', 'picture.png'])
def test_opencv_decodes_pictures_to_the_pixels_of_pillow(tmp_path, name):
    """The recipes load by the quicker of the two."""
    from mmca.datasets.transforms import LoadImageFromFile

    path = tmp_path / name
    cv2.imwrite(str(path), sample(0, 123, 157)['img'])
    images = [
        LoadImageFromFile(imdecode_backend=backend)(dict(img_path=str(path)))['img']
        for backend in ('pillow', 'cv2')
    ]
    np.testing.assert_array_equal(*images)


def test_images_without_masks_and_options_out_of_range():
    for plain, fused in both(10, cat_max_ratio=1.0, masked=False):
        assert difference(plain, fused).mean() < 1
        assert 'gt_seg_map' not in fused
    for options, message in (
        (dict(scale=(96,)), r'scale=\(96,\) must be two whole numbers'),
        (dict(crop_size=(0, 4)), 'crop_size'),
        (dict(ratio_range=(2.0, 0.5)), 'ratio_range'),
        (dict(rotate=dict(prob=1.0, degree=1.0, auto_bound=True)), 'keeps the frame'),
    ):
        with pytest.raises(ValueError, match=message):
            SegAugmentation(**{**dict(scale=SCALE, crop_size=CROP), **options})
    with pytest.raises(TypeError, match="did you mean 'cat_max_ratio'"):
        SegAugmentation(SCALE, CROP, cat_max_rato=0.5)
