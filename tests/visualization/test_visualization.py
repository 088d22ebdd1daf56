"""Drawn detections."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmca.visualization import DetLocalVisualizer


@pytest.mark.parametrize('box', [[-40.0, 5.0, 30.0, 90.0], [10.0, 10.0, 30.0, 30.0]])
def test_boxes_outside_leave_the_image_in_its_place(box):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (60, 100, 3), np.uint8)
    boxes = torch.tensor([box])
    sample = DetDataSample(
        pred_instances=InstanceData(
            bboxes=boxes, labels=torch.tensor([0]), scores=torch.tensor([0.9])
        )
    )
    visualizer = DetLocalVisualizer()
    visualizer.dataset_meta = dict(classes=('cell',), palette=[(255, 0, 0)])
    visualizer.add_datasample('x', image, sample, draw_gt=False, pred_score_thr=0.3)
    drawn = visualizer.get_image()
    assert drawn.shape == image.shape
    # The right half has nothing drawn on it.
    assert np.array_equal(drawn[:, 60:], image[:, 60:])
    assert not np.array_equal(drawn[:, :40], image[:, :40])
    assert torch.equal(sample.pred_instances.bboxes, boxes)
