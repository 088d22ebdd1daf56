# The CA paper keeps "the original paper's settings" for EfficientNet. Tan and Le (ICML 2019),
# Sec. 5.2: RMSProp, decay and momentum 0.9, weight decay 1e-5, lr 0.256, times 0.97 every 2.4
# epochs.
# Open points:
# - The batch is not in their paper; in their code the rate is 0.016 for each 256 images, and the
#   length 350 epochs with 5 of warm-up.
# - PyTorch's RMSprop adds eps outside of the root, TensorFlow's inside.
# - Their code also averages the weights: custom_hooks=[dict(type='EMAHook', momentum=1e-4)] does.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='RMSprop', lr=0.016, alpha=0.9, momentum=0.9, eps=0.001, weight_decay=1e-5),
    # Not of batch norms and biases: their code.
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.001,
        begin=0,
        end=5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    # A step an epoch in place of one every 2.4.
    dict(type='ExponentialLR', gamma=0.97 ** (1 / 2.4), begin=0, by_epoch=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=350, val_interval=1)
auto_scale_lr = dict(enable=False, base_batch_size=256)
