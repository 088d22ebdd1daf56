_base_ = './default_runtime.py'
default_scope = 'mmseg'
custom_imports = dict(
    imports=[
        'mmca',
        'mmca.models.decode_heads',
        'mmca.datasets.transforms.segmentation',
        'mmca.datasets.transforms.seg_augmentation',
    ],
    allow_failed_imports=False,
)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, max_keep_ckpts=2, save_best='mIoU', rule='greater'),
    visualization=dict(type='SegVisualizationHook'),
)
log_processor = dict(by_epoch=False)
visualizer = dict(
    type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer'
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# The published results are single-scale, without flip: this is used with --tta only.
tta_model = dict(type='SegTTAModel')
tta_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale_factor=factor, keep_ratio=True)
                for factor in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
            ],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadAnnotations')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
