# CIFAR-10 as an image folder, 10 classes, 50,000 training and 10,000 test images of 32x32 pixels,
# enlarged to 64x64. A small real benchmark of this project, not of the paper.
_base_ = './classification.py'
data_command = 'python tools/prepare_data.py cifar10'
dataset_type = 'mmca.PackedFolder'
data_root = 'data/cifar10'
prepared_root = data_root  # what data_command fills
metainfo = dict(
    classes=(
        'airplane',
        'automobile',
        'bird',
        'cat',
        'deer',
        'dog',
        'frog',
        'horse',
        'ship',
        'truck',
    )
)
train_pipeline = [
    dict(type='mmca.SeedAugmentation'),
    dict(type='mmca.LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='Resize', scale=64),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='Resize', scale=64),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='train'),
        metainfo=metainfo,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=256,
    num_workers=1,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='test'),
        metainfo=metainfo,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
