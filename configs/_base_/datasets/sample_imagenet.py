# The synthetic sample, ImageNet layout, 64x64 pixels: 4,000 training, 1,000 validation scenes of
# one object, 20 classes.
_base_ = './imagenet.py'
data_command = (
    'python tools/prepare_data.py sample --layout imagenet --train 4000 --val 1000 --size 64'
)
dataset_type = 'CustomDataset'
data_root = 'data/sample_easy_imagenet'
prepared_root = data_root  # what data_command fills
# No flip and no crop: in the hard sample the place in the frame decides some classes.
train_pipeline = [
    dict(type='mmca.SeedAugmentation'),
    dict(type='mmca.LoadImageFromFile'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    dataset=dict(type=dataset_type, data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=1,
    dataset=dict(type=dataset_type, data_root=data_root, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
