# The same total batch on one GPU: the gradients of 8 batches of 32 are added up, in mixed
# precision. Batch norm sees 32 images at a time, not 256.
_base_ = './ssdlite320_mbv2ca_coco.py'
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic', accumulative_counts=8)
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 3, begin=0, end=4001, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        T_max=1600000,
        eta_min=0.0,
        begin=0,
        end=1600000,
        by_epoch=False,
    ),
]
train_cfg = dict(max_iters=1600000, val_interval=80000)
default_hooks = dict(checkpoint=dict(interval=80000))
