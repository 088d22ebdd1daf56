_base_ = [
    './_base_/segmentation.py',
    './_base_/models/deeplabv3_mbv2.py',
    './_base_/datasets/voc2012_aug.py',
    './_base_/schedules/voc2012_30k.py',
]
# The loss is the mean over labelled pixels, as PyTorch's cross entropy is; mmseg's default counts
# padding, too.
model = dict(decode_head=dict(loss_decode=dict(avg_non_ignore=True)))
default_hooks = dict(checkpoint=dict(interval=3000))
