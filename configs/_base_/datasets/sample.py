# The synthetic sample, VOC 2012 layout, 128x128 pixels: 800 training, 200 validation scenes.
_base_ = './voc2012_aug.py'
data_command = 'python tools/prepare_data.py sample'
dataset_type = 'PascalVOCDataset'
data_root = 'data/sample_easy/VOCdevkit/VOC2012'
prepared_root = data_root  # what data_command fills
crop_size = (128, 128)
train_pipeline = [
    dict(type='mmca.SeedAugmentation'),
    dict(type='mmca.LoadImageFromFile'),
    dict(type='mmca.LoadSegAnnotations', num_classes=21),
    # Mild, and no flip: in the hard sample the place in the frame decides some classes.
    dict(type='RandomResize', scale=(128, 128), ratio_range=(0.75, 1.25), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='Pad', size=crop_size, pad_val=dict(img=0, seg=255)),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    num_workers=1,
    dataset=dict(
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
val_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
