# The synthetic sample, COCO layout, 128x128 pixels, 20 classes: 800 training and 200 validation
# scenes.
_base_ = './coco.py'
data_command = 'python tools/prepare_data.py sample --layout coco'
data_root = 'data/sample_easy_coco'
prepared_root = data_root  # what data_command fills
metainfo = dict(
    classes=(
        'aeroplane',
        'bicycle',
        'bird',
        'boat',
        'bottle',
        'bus',
        'car',
        'cat',
        'chair',
        'cow',
        'diningtable',
        'dog',
        'horse',
        'motorbike',
        'person',
        'pottedplant',
        'sheep',
        'sofa',
        'train',
        'tvmonitor',
    )
)
train_pipeline = [
    dict(type='mmca.SeedAugmentation'),
    dict(type='mmca.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    # Mild, and no flip: in the hard sample the place in the frame decides some classes.
    dict(type='mmca.RandomSampleCrop', min_ious=(0.7, 0.9)),
    dict(type='Resize', scale=(320, 320), keep_ratio=False),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=train_pipeline),
)
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, metainfo=metainfo))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + '/annotations/instances_val2017.json')
test_evaluator = val_evaluator
