_base_ = './default_runtime.py'
default_scope = 'mmpretrain'
custom_imports = dict(
    imports=[
        'mmca',
        'mmca.models.heads',
        'mmca.datasets.packed_folder',
        'mmca.datasets.transforms.load_random_resized_crop',
    ],
    allow_failed_imports=False,
)
default_hooks = dict(
    logger=dict(interval=100),
    checkpoint=dict(interval=1, max_keep_ckpts=2, save_best='accuracy/top1', rule='greater'),
    visualization=dict(type='VisualizationHook', enable=False),
)
visualizer = dict(
    type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer'
)
# Each GPU normalises its own part of the batch, as usual on ImageNet.
sync_bn = None
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
