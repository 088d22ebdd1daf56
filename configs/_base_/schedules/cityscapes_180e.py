# The authors' SPNet code: SGD, lr 0.005 with 10x on the head, weight decay 1e-4, poly 0.9,
# 180 epochs of 2,975 images in batches of 8 = 66,938 iterations. They do not publish a recipe
# for the CA models. A shorter run sets train_cfg.max_iters and param_scheduler.0.end.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.005, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10.0))),
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=66938, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=66938, val_interval=4000)
auto_scale_lr = dict(enable=False, base_batch_size=8)
