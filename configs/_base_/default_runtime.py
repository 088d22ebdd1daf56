# What every task shares.
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='mmca.CheckpointHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    iteration_seed=dict(type='mmca.IterationSeedHook'),
)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
# A fixed seed is what makes an interrupted run end like an uninterrupted one.
randomness = dict(seed=0)
# Synchronise batch norm, attention included, when training on several GPUs.
sync_bn = 'torch'
log_level = 'INFO'
load_from = None
resume = False
