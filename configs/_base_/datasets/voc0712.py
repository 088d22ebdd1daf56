# PASCAL VOC, 20 classes: training on trainval of 2007 and 2012 (16,551 images), test on the 4,952
# of 2007, which also serve as validation.
_base_ = './detection.py'
data_command = 'python tools/prepare_data.py voc0712'
dataset_type = 'VOCDataset'
data_root = 'data/VOCdevkit'
prepared_root = data_root  # what data_command fills
train_dataloader = dict(
    # Of each of 4 GPUs.
    batch_size=24,
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                type=dataset_type,
                data_root=data_root,
                ann_file='VOC2007/ImageSets/Main/trainval.txt',
                data_prefix=dict(sub_data_root='VOC2007/'),
                filter_cfg=dict(filter_empty_gt=True),
                pipeline={{_base_.train_pipeline}},
            ),
            dict(
                type=dataset_type,
                data_root=data_root,
                ann_file='VOC2012/ImageSets/Main/trainval.txt',
                data_prefix=dict(sub_data_root='VOC2012/'),
                filter_cfg=dict(filter_empty_gt=True),
                pipeline={{_base_.train_pipeline}},
            ),
        ],
    ),
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='VOC2007/ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        test_mode=True,
        pipeline={{_base_.test_pipeline}},
    ),
)
test_dataloader = val_dataloader
# For the official tools: --cfg-options test_evaluator.outfile_prefix=PATH/comp4_det_test
val_evaluator = dict(type='mmca.VOCMetric', metric='mAP', eval_mode='11points')
test_evaluator = val_evaluator
