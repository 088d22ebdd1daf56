# mmdet's 1x schedule in iterations: batch 16, SGD, lr 0.02, steps at 60,000 and 80,000.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, begin=0, end=500, by_epoch=False),
    dict(
        type='MultiStepLR', begin=0, end=90000, by_epoch=False, milestones=[60000, 80000], gamma=0.1
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=90000, val_interval=10000)
auto_scale_lr = dict(enable=False, base_batch_size=16)
