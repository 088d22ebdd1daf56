from mmca.models.backbones.mbconv_backbone import MBConvBackbone
from mmca.options import suggest_options
from mmca.registry import MODELS

_SE = dict(type='mmca.SqueezeExcitation', reduction=24, act_cfg=dict(type='ReLU'))


@MODELS.register_module()
@suggest_options
class MnasNet(MBConvBackbone):
    """MnasNet-A1 (Tan et al., CVPR 2019, Fig. 7), which has squeeze-excitation in three stages.

    It computes what timm's ``semnasnet_100`` computes. Modules: ``conv1``, ``layer1`` ...
    ``layer7``, and ``conv2``, the 1280-channel layer, which exists only if ``out_indices`` asks
    for it.

    Args:
        attention (dict | None): As in :class:`MBConvBackbone`, in the place of the original's
            squeeze-excitation, which is the default: in the blocks of ``layer3``, ``layer5`` and
            ``layer6``.
        act_cfg (dict): Activation of the convolutions.
        **kwargs: Options of :class:`MBConvBackbone`; the 7 layers are ``layer1`` to ``layer7``,
            with 16, 24, 40, 80, 112, 160 and 320 channels at width 1, and output 7 of
            ``out_indices`` is ``conv2``: 1280 channels.

    Shape:
        As :class:`StagedBackbone`.

    Raises:
        ValueError: If an option is out of range.
    """

    # expand ratio, channels, blocks, stride
    arch_settings = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (3, 40, 3, 2),
        (6, 80, 4, 2),
        (6, 112, 2, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    kernel_sizes = (3, 3, 5, 3, 3, 5, 3)
    attended = (2, 4, 5)

    def __init__(
        self, attention: dict | None = _SE, *args, act_cfg: dict = dict(type='ReLU'), **kwargs
    ) -> None:
        super().__init__(attention, *args, act_cfg=act_cfg, **kwargs)
