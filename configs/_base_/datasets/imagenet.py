# ImageNet-1k (ILSVRC 2012), 1000 classes, 1,281,167 training and 50,000 validation images at
# 224x224. "Random crop" and flip and nothing else: CA paper, Sec. 4.1, and its README.
_base_ = './classification.py'
data_command = 'python tools/prepare_data.py imagenet'
dataset_type = 'ImageNet'
data_root = 'data/imagenet'
prepared_root = data_root  # what data_command fills
train_pipeline = [
    dict(type='mmca.SeedAugmentation'),
    # mmca.LoadImageFromFile, RandomResizedCrop and RandomFlip in one.
    dict(type='mmca.LoadRandomResizedCrop', scale=224, flip_prob=0.5),
    dict(type='PackInputs'),
]
# The usual centre crop; the CA authors do not publish theirs.
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    # In all. On 4 GPUs, as the authors train, 64 each: --cfg-options train_dataloader.batch_size=64
    batch_size=256,
    num_workers=8,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=128,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='val'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
