# What the classification datasets share; each names its files and its pipelines.
train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='mmca.DefaultSampler', shuffle=True),
)
val_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
