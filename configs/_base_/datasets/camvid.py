# CamVid, the SegNet split: 367 training, 101 validation, 233 test images of 480x360 pixels,
# 11 classes; label 11 (void) is ignored. A small real benchmark of this project, not of the
# paper.
_base_ = './segmentation.py'
data_command = 'python tools/prepare_data.py camvid'
dataset_type = 'BaseSegDataset'
data_root = 'data/camvid'
prepared_root = data_root  # what data_command fills
crop_size = (256, 256)
metainfo = dict(
    classes=(
        'sky',
        'building',
        'pole',
        'road',
        'pavement',
        'tree',
        'sign',
        'fence',
        'car',
        'pedestrian',
        'bicyclist',
    ),
    palette=[
        [128, 128, 128],
        [128, 0, 0],
        [192, 192, 128],
        [128, 64, 128],
        [60, 40, 222],
        [128, 128, 0],
        [192, 128, 128],
        [64, 64, 128],
        [64, 0, 128],
        [64, 64, 0],
        [0, 128, 192],
    ],
)
train_pipeline = [
    dict(type='mmca.SeedAugmentation'),
    dict(type='mmca.LoadImageFromFile', imdecode_backend='cv2'),
    dict(type='mmca.LoadSegAnnotations', num_classes=11, ignore_index=11),
    # RandomResize, RandomCrop, RandomFlip, PhotoMetricDistortion and Pad in one.
    dict(
        type='mmca.SegAugmentation',
        scale=(480, 360),
        ratio_range=(0.75, 1.5),
        crop_size=crop_size,
        cat_max_ratio=0.75,
        ignore_index=11,
        flip_prob=0.5,
        photometric=dict(),
        pad_val=dict(img=0, seg=11),
    ),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        img_suffix='.png',
        data_prefix=dict(img_path='train', seg_map_path='trainannot'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=2,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        img_suffix='.png',
        data_prefix=dict(img_path='val', seg_map_path='valannot'),
    ),
)
test_dataloader = dict(
    num_workers=2,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        img_suffix='.png',
        data_prefix=dict(img_path='test', seg_map_path='testannot'),
    ),
)
val_evaluator = dict(ignore_index=11)
test_evaluator = val_evaluator
