from mmca.models.backbones.mbconv_backbone import MBConvBackbone
from mmca.options import suggest_options
from mmca.registry import MODELS


@MODELS.register_module()
@suggest_options
class EfficientNet(MBConvBackbone):
    """EfficientNet-B0 (Tan and Le, ICML 2019, Table 1) with an attention in all of its 16 blocks.

    The attention stands where the original has squeeze-excitation, which is
    ``dict(type='mmca.SqueezeExcitation', reduction=24, act_cfg=dict(type='SiLU'))``: with it the
    network computes what torchvision's and timm's ``efficientnet_b0`` compute, and, with
    ``conv_cfg=dict(type='Conv2dAdaptivePadding')`` and ``norm_cfg=dict(type='BN', eps=1e-3)``,
    what mmpretrain's ``EfficientNet`` does. Modules: ``conv1``, ``layer1`` ... ``layer7``, and
    ``conv2``, the 1280-channel layer, which exists only if ``out_indices`` asks for it.

    Args:
        attention (dict | None): As in :class:`MBConvBackbone`.
        act_cfg (dict): Activation of the convolutions.
        **kwargs: Options of :class:`MBConvBackbone`; ``drop_path_rate`` is 0.2 in the original.
            The 7 layers are ``layer1`` to ``layer7``, with 16, 24, 40, 80, 112, 192 and 320
            channels at width 1, and output 7 of ``out_indices`` is ``conv2``: 1280 channels.

    Shape:
        As :class:`StagedBackbone`.

    Raises:
        ValueError: If an option is out of range.
    """

    # expand ratio, channels, blocks, stride
    arch_settings = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 40, 2, 2),
        (6, 80, 3, 2),
        (6, 112, 3, 1),
        (6, 192, 4, 2),
        (6, 320, 1, 1),
    )
    kernel_sizes = (3, 3, 5, 3, 5, 5, 3)
    attended = (0, 1, 2, 3, 4, 5, 6)

    def __init__(
        self, attention: dict | None = None, *args, act_cfg: dict = dict(type='SiLU'), **kwargs
    ) -> None:
        super().__init__(attention, *args, act_cfg=act_cfg, **kwargs)
