_base_ = './default_runtime.py'
default_scope = 'mmdet'
custom_imports = dict(
    imports=[
        'mmca',
        'mmca.models.dense_heads',
        'mmca.evaluation',
        'mmca.visualization',
        'mmca.datasets.transforms.ssd_augmentation',
    ],
    allow_failed_imports=False,
)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, max_keep_ckpts=2, rule='greater'),
    visualization=dict(type='DetVisualizationHook'),
)
log_processor = dict(by_epoch=False)
visualizer = dict(
    type='mmca.DetLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer'
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
