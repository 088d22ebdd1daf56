# DeepLabV3's schedule (Chen et al., 2017, Sec. 4.1): SGD, lr 0.007, poly 0.9, 30,000
# iterations of 16 images, weight decay 4e-5. DeepLab practice: the CA authors do not publish
# theirs. A shorter run sets train_cfg.max_iters and param_scheduler.0.end.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.007, momentum=0.9, weight_decay=4e-5),
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=30000, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=30000, val_interval=3000)
auto_scale_lr = dict(enable=False, base_batch_size=16)
