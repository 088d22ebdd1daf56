import pytest
import torch
from mmengine.config import Config

from helpers.tools import ROOT, build_model
from mmca.models import MobileNeXt

SE = dict(type='mmca.SqueezeExcitation', reduction=24)
SE32 = dict(type='mmca.SqueezeExcitation', reduction=32)
CA = dict(type='mmca.CoordinateAttention', reduction=24)
CA32 = dict(type='mmca.CoordinateAttention', reduction=32)


@pytest.mark.parametrize(
    'attention, position, expected',
    [
        (None, 'first', 3_535_416),
        (SE, 'first', 3_913_557),
        (CA, 'first', 4_108_336),
        (SE32, 'last', 3_896_396),
        (CA32, 'last', 4_088_113),
    ],
)
def test_parameters(attention, position, expected):
    """With a classifier of 1000 classes; published are 3.5, 3.89 and 4.09 M."""
    model = MobileNeXt(attention, attention_position=position)
    assert sum(p.numel() for p in model.parameters()) + 1280 * 1000 + 1000 == expected


def test_features_and_their_order():
    model = MobileNeXt(out_indices=tuple(range(8))).eval()
    features = model(torch.randn(1, 3, 64, 96))
    assert [f.shape[1] for f in features] == [96, 144, 192, 288, 384, 576, 960, 1280]
    assert [64 // f.shape[2] for f in features] == [4, 4, 8, 16, 16, 32, 32, 32]


def test_expanded_features_are_those_that_ssdlite_taps():
    """576 channels inside the stride-2 block, at stride 16, before its depthwise convolution."""
    model = MobileNeXt(CA, out_indices=(7,), expanded_indices=(5,)).eval()
    seen = {}
    block = model.layer6[0]
    block.expand_conv.register_forward_hook(lambda *call: seen.update(expanded=call[2]))
    block.depthwise_conv2.register_forward_pre_hook(lambda *call: seen.update(taken=call[1][0]))
    tap, deepest = model(torch.randn(1, 3, 320, 320))
    assert tap.shape == (1, 576, 20, 20) and deepest.shape == (1, 1280, 10, 10)
    assert torch.equal(tap, seen['expanded']) and torch.equal(tap, seen['taken'])
    # In the order of depth, with the layer's own output after it.
    outputs = MobileNeXt(out_indices=(4, 5), expanded_indices=(5,))(torch.randn(1, 3, 64, 64))
    assert [f.shape[1:] for f in outputs] == [(384, 4, 4), (576, 4, 4), (576, 2, 2)]


def test_forms_of_the_blocks():
    """The four forms of the authors' code, and where the attention goes in each."""
    both = ['depthwise_conv1', 'reduce_conv', 'expand_conv', 'depthwise_conv2']
    model = MobileNeXt()
    forms = {
        'layer1.0': (both, False),
        'layer2.0': (both, False),  # keeps its depthwise convolutions, no shortcut
        'layer3.0': (both[1:], False),  # stride 2
        'layer4.1': (both, True),
        'layer5.0': (both[1:3], False),  # stride 1, another width
        'layer8.0': (both, False),
    }
    for name, (children, has_shortcut) in forms.items():
        block = model.get_submodule(name)
        assert [n for n, _ in block.named_layers()] == children
        assert block.has_shortcut == has_shortcut

    first = MobileNeXt(CA).layer1[0]
    assert [n for n, _ in first.named_layers()] == [*both[:1], 'attention', *both[1:]]
    last = MobileNeXt(CA, attention_position='last')
    assert [n for n, _ in last.layer3[0].named_layers()] == [*both[1:], 'attention']
    assert [n for n, _ in last.layer5[0].named_layers()] == both[1:3]


def test_reduced_width_keeps_the_last_layer():
    model = MobileNeXt(widen_factor=0.5).eval()
    assert model(torch.randn(1, 3, 64, 64))[0].shape == (1, 1280, 2, 2)
    assert model.layer6[0].expand_conv.conv.weight.shape[0] == 288


@pytest.mark.parametrize('output_stride', [32, 16, 8])
def test_serves_a_segmentor_of_mmseg(output_stride):
    config = Config.fromfile(ROOT / 'configs/deeplabv3_mbv2_voc.py')
    config.model.backbone.update(
        type='mmca.MobileNeXt', attention=CA, out_indices=(7,), output_stride=output_stride
    )
    config.model.decode_head.in_channels = 1280
    model = build_model(config.model).eval()
    with torch.no_grad():
        logits = model(torch.randn(1, 3, 64, 64), mode='tensor')
    assert logits.shape == (1, 21, 64 // output_stride, 64 // output_stride)


def test_serves_a_detector_of_mmdet():
    from mmdet.registry import MODELS
    from mmengine.registry import DefaultScope

    head = dict(type='RetinaHead', num_classes=3, in_channels=32, feat_channels=32)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(
            dict(
                type='RetinaNet',
                data_preprocessor=dict(type='DetDataPreprocessor'),
                backbone=dict(type='mmca.MobileNeXt', attention=CA, out_indices=(2, 4, 6)),
                neck=dict(type='FPN', in_channels=[192, 384, 960], out_channels=32, num_outs=5),
                bbox_head=head,
            )
        ).eval()
        with torch.no_grad():
            scores, boxes = model(torch.randn(1, 3, 128, 128), mode='tensor')
    assert [level.shape[1:] for level in scores] == [(27, n, n) for n in (16, 8, 4, 2, 1)]
