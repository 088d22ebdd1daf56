# What the detection datasets share: the pipelines of the CA authors' ssdlite-pytorch-mobilenext.
train_pipeline = [
    dict(type='mmca.SeedAugmentation'),
    dict(type='mmca.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    # Boxes without area have no logarithm.
    dict(type='FilterAnnotations', min_gt_bbox_wh=(0, 0), keep_empty=False),
    # PhotoMetricDistortion, Expand, mmca.RandomSampleCrop, RandomFlip and Resize in one.
    dict(
        type='mmca.SSDAugmentation',
        scale=(320, 320),
        expand=dict(mean=[123, 117, 104], to_rgb=True, ratio_range=(1, 4)),
        min_ious=(0.1, 0.3, 0.7, 0.9),
        flip_prob=0.5,
    ),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='Resize', scale=(320, 320), keep_ratio=False),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='mmca.InfiniteSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
