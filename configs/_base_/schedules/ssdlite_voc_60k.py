# The authors' ssdlite-pytorch-mobilenext on VOC with 4 GPUs: batch 96, SGD, lr 0.001 x 4, weight
# decay 5e-4, 240 k / 4 iterations, x0.1 at 40 k and 50 k, the first 1000 from 0.133 on.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.004, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = [
    # end is one past the iteration that reaches the full rate.
    dict(type='LinearLR', start_factor=0.133, begin=0, end=1001, by_epoch=False),
    dict(type='MultiStepLR', milestones=[40000, 50000], gamma=0.1, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=60000, val_interval=5000)
auto_scale_lr = dict(enable=False, base_batch_size=96)
