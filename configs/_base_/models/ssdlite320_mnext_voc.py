# The same with the authors' settings for VOC, softmax and hard negatives: 3.48 M parameters.
_base_ = './ssdlite320_mnext_coco.py'
model = dict(
    bbox_head=dict(
        num_classes=20,
        anchor_generator=dict(
            max_sizes=[120, 180, 220, 260, 300, 320],
            ratios=[[2, 3], [2, 3], [2, 3], [2, 3], [2, 3], [2, 3]],
        ),
        loss_cls=None,
    ),
    test_cfg=dict(nms=dict(iou_threshold=0.45), score_thr=0.01),
)
