# COCO 2017, 80 classes: 118,287 training and 5,000 validation images.
_base_ = './detection.py'
data_command = 'python tools/prepare_data.py coco'
dataset_type = 'CocoDataset'
data_root = 'data/coco'
prepared_root = data_root  # what data_command fills
train_dataloader = dict(
    # Of each of 8 GPUs.
    batch_size=32,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline={{_base_.train_pipeline}},
    ),
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline={{_base_.test_pipeline}},
    ),
)
test_dataloader = val_dataloader
# For the official tools: --cfg-options test_evaluator.outfile_prefix=PATH
val_evaluator = dict(
    type='CocoMetric',
    ann_file=data_root + '/annotations/instances_val2017.json',
    metric='bbox',
)
test_evaluator = val_evaluator
