# CA paper, Sec. 4.1: SGD, momentum 0.9, weight decay 4e-5, initial lr 0.05, cosine, batch 256 on
# 4 GPUs, 200 epochs; no label smoothing, random augmentation, random erasing or mixup (README).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=4e-5),
)
param_scheduler = [
    # Per iteration and to zero: practice.
    dict(
        type='CosineAnnealingLR',
        T_max=200,
        eta_min=0.0,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200, val_interval=1)
auto_scale_lr = dict(enable=False, base_batch_size=256)
