"""SSD's random crop as the CA authors have it."""

import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes

from mmca.datasets.transforms import RandomSampleCrop

BOXES = np.array([[10, 20, 60, 70], [100, 30, 190, 110], [5, 80, 20, 110]], np.float32)


def sample(boxes=BOXES, ignored=None):
    height, width = 120, 200
    rows, columns = np.mgrid[:height, :width]
    return dict(
        img=np.stack([columns, rows, rows], axis=-1).astype(np.uint8),
        img_shape=(height, width),
        gt_bboxes=HorizontalBoxes(boxes.copy()),
        gt_bboxes_labels=np.arange(len(boxes)),
        gt_ignore_flags=np.zeros(len(boxes), bool) if ignored is None else ignored,
    )


def crops(transform, count, **options):
    np.random.seed(0)
    for _ in range(count):
        results = transform.transform(sample(**options))
        left, top = results['img'][0, 0, :2].astype(int)
        height, width = results['img_shape']
        yield results, np.array([left, top, left + width, top + height])


def iou(boxes, crop):
    sides = np.minimum(boxes[:, 2:], crop[2:]) - np.maximum(boxes[:, :2], crop[:2])
    shared = sides.clip(min=0).prod(axis=1)
    both = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (crop[2:] - crop[:2]).prod()
    return shared / (both - shared)


def test_crops_have_the_size_and_the_boxes_that_they_should():
    sizes = set()
    for results, crop in crops(RandomSampleCrop(), 300):
        height, width = results['img_shape']
        assert results['img'].shape[:2] == (height, width)
        assert width >= 59 and height >= 35  # 0.3 of the sides, rounded down
        assert 0.48 < height / width < 2.1
        sizes.add((height, width))
        kept = results['gt_bboxes_labels']
        centres = (BOXES[:, :2] + BOXES[:, 2:]) / 2
        inside = ((centres > crop[:2]) & (centres < crop[2:])).all(axis=1)
        assert kept.tolist() == np.flatnonzero(inside).tolist() and len(kept) > 0
        expected = BOXES[kept].reshape(-1, 2, 2).clip(crop[:2], crop[2:]) - crop[:2]
        np.testing.assert_allclose(results['gt_bboxes'].numpy(), expected.reshape(-1, 4))
        assert len(results['gt_ignore_flags']) == len(kept)
    assert (120, 200) in sizes and len(sizes) > 150


def test_one_box_with_the_iou_is_enough():
    """mmdet's crop wants it of all boxes: three apart never reach 0.7 together."""
    cropped = [
        iou(BOXES, crop)
        for results, crop in crops(RandomSampleCrop(min_ious=(0.7,)), 200)
        if results['img_shape'] != (120, 200)
    ]
    reached = [values for values in cropped if values.max() >= 0.7]
    assert len(reached) > 20
    assert all(values.min() < 0.7 for values in reached)


def test_ignored_boxes_take_no_part_in_the_choice():
    ignored = np.array([True, False, True])
    for results, _ in crops(RandomSampleCrop(), 100, ignored=ignored):
        assert 1 in results['gt_bboxes_labels']


@pytest.mark.parametrize('options', [dict(boxes=BOXES[:0]), dict(ignored=np.ones(3, bool))])
def test_images_without_boxes_stay_as_they_are(options):
    for results, _ in crops(RandomSampleCrop(), 20, **options):
        assert results['img_shape'] == (120, 200)


def test_threshold_out_of_range_is_named():
    with pytest.raises(ValueError, match=r'min_ious=\(0.5, 1.5\) must be between 0 and 1'):
        RandomSampleCrop(min_ious=(0.5, 1.5))
