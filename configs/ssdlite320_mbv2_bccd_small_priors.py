# Priors from 20 pixels on, as small as platelets at 320x320, where the authors' begin at 45; this
# project's choice.
_base_ = './ssdlite320_mbv2_bccd_from_imagenet.py'
model = dict(
    bbox_head=dict(
        anchor_generator=dict(
            min_sizes=[20, 60, 110, 160, 210, 260],
            max_sizes=[60, 110, 160, 210, 260, 310],
        )
    )
)
