"""RandomResizedCrop at the scale it needs equals mmpretrain's, at full scale in every pixel."""

import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose, RandomFlip
from mmpretrain.datasets.transforms import RandomResizedCrop
from PIL import Image

from mmca.datasets.transforms import LoadImageFromFile
from mmca.datasets.transforms.load_random_resized_crop import LoadRandomResizedCrop
from mmca.images.opening import BadImageError

SIDE = 32


def picture(path, width=300, height=220, mode='RGB', **options):
    coarse = np.random.default_rng(0).integers(0, 256, (14, 19, 3), np.uint8)
    image = Image.fromarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    image.convert(mode).save(path, **options)
    return path


def both(path, count=40, **options):
    """Results of the two transforms and of the one with equal random numbers."""
    crop = RandomResizedCrop(SIDE, backend='pillow')
    plain = Compose([LoadImageFromFile(), crop, RandomFlip(prob=0.5)])
    one = LoadRandomResizedCrop(SIDE, flip_prob=0.5, **options)
    for seed in range(count):
        np.random.seed(seed)
        expected = plain(dict(img_path=str(path)))
        following = np.random.rand()
        np.random.seed(seed)
        result = one(dict(img_path=str(path)))
        assert np.random.rand() == following
        for key in ('img_shape', 'ori_shape', 'flip', 'flip_direction'):
            assert result[key] == expected[key], key
        assert result['img'].dtype == np.uint8
        yield expected['img'], result['img']


def test_at_full_scale_all_pixels_are_equal(tmp_path):
    for name, options in {
        'small.jpg': dict(width=60, height=55, quality=95),
        'a.png': {},
        'grey.jpg': dict(mode='L'),
        'cmyk.jpg': dict(mode='CMYK'),
        'palette.png': dict(mode='P'),
    }.items():
        for expected, result in both(picture(tmp_path / name, **options), 20):
            np.testing.assert_array_equal(result, expected, name)
    for expected, result in both(picture(tmp_path / 'a.jpg'), reduced=False):
        np.testing.assert_array_equal(result, expected)


def test_reduced_by_libjpeg_pixels_differ_by_a_level_on_average(tmp_path):
    """Here of strong colours, whose resolution a JPEG halves."""
    path = picture(tmp_path / 'large.jpg', 150, 110, quality=95)
    means = [np.abs(a.astype(int) - b).mean() for a, b in both(path, 80)]
    assert 0 < np.mean(means) < 1.5 and max(means) < 3
    assert 10 < sum(mean > 0 for mean in means) < 80  # the others are of crops below twice 32


def test_images_turned_by_exif(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for expected, result in both(picture(tmp_path / 'turned.jpg', exif=exif), 20):
        np.testing.assert_array_equal(result, expected)


def test_a_cut_off_file_is_named(tmp_path):
    path = picture(tmp_path / 'cut.jpg')
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(BadImageError, match='cut.jpg: cannot be decoded'):
        LoadRandomResizedCrop(SIDE)(dict(img_path=str(path)))
    assert LoadRandomResizedCrop(SIDE, ignore_empty=True)(dict(img_path=str(path))) is None
    with pytest.raises(TypeError, match="did you mean 'crop_ratio_range'"):
        LoadRandomResizedCrop(SIDE, crop_ratio_rang=(0.5, 1))
