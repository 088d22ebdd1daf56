# 30 epochs of 367 images in batches of 8 = 1,380 iterations; this project's choice.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=100, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=100, end=1380, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1380, val_interval=230)
auto_scale_lr = dict(enable=False, base_batch_size=8)
