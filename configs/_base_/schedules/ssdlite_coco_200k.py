# The authors' ssdlite-pytorch-mobilenext on COCO with 8 GPUs: batch 256, SGD, lr 0.01 x 8, weight
# decay 4e-5, 1.6 M / 8 iterations, cosine, the first 500 from a third of the rate on.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.08, momentum=0.9, weight_decay=4e-5),
)
param_scheduler = [
    # end is one past the iteration that reaches the full rate; the two factors multiply.
    dict(type='LinearLR', start_factor=1 / 3, begin=0, end=501, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=200000, eta_min=0.0, begin=0, end=200000, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=200000, val_interval=10000)
auto_scale_lr = dict(enable=False, base_batch_size=256)
