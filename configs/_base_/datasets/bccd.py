# BCCD, blood cells under the microscope, 3 classes: 205 training, 87 validation, 72 test images of
# 640x480 pixels. A small real benchmark of this project, not of the paper.
_base_ = './detection.py'
data_command = 'python tools/prepare_data.py bccd'
dataset_type = 'VOCDataset'
data_root = 'data/bccd'
prepared_root = data_root  # what data_command fills
metainfo = dict(
    classes=('RBC', 'WBC', 'Platelets'),
    palette=[(220, 20, 60), (119, 11, 32), (0, 0, 142)],
)
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root=''),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline={{_base_.train_pipeline}},
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='ImageSets/Main/val.txt',
        data_prefix=dict(sub_data_root=''),
        test_mode=True,
        pipeline={{_base_.test_pipeline}},
    ),
)
test_dataloader = dict(
    num_workers=1,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root=''),
        test_mode=True,
        pipeline={{_base_.test_pipeline}},
    ),
)
val_evaluator = dict(type='mmca.VOCMetric', metric='mAP', eval_mode='area')
test_evaluator = val_evaluator
