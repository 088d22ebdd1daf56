# VOC 2012 with the SBD masks: 10,582 training and 1,449 validation images.
# Crop, scales and batch are DeepLab practice; the CA authors do not publish theirs.
_base_ = './segmentation.py'
data_command = 'python tools/prepare_data.py voc2012'
dataset_type = 'PascalVOCDataset'
data_root = 'data/VOCdevkit/VOC2012'
prepared_root = data_root  # what data_command fills
crop_size = (512, 512)
train_pipeline = [
    dict(type='mmca.SeedAugmentation'),
    dict(type='mmca.LoadImageFromFile', imdecode_backend='cv2'),
    dict(type='mmca.LoadSegAnnotations', num_classes=21),
    # RandomResize, RandomCrop, RandomFlip and Pad in one.
    dict(
        type='mmca.SegAugmentation',
        scale=(2048, 512),
        ratio_range=(0.5, 2.0),
        crop_size=crop_size,
        cat_max_ratio=0.75,
        flip_prob=0.5,
    ),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                type=dataset_type,
                data_root=data_root,
                data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
                ann_file='ImageSets/Segmentation/train.txt',
                pipeline=train_pipeline,
            ),
            dict(
                type=dataset_type,
                data_root=data_root,
                data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
                ann_file='ImageSets/Segmentation/aug.txt',
                pipeline=train_pipeline,
            ),
        ],
    ),
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
    ),
)
test_dataloader = val_dataloader
