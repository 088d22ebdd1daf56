"""What every backbone promises: output strides, freezing, recomputing."""

import pytest
import torch

from mmca.models import EfficientNet, MobileNetV2, MobileNeXt

ATTENTIONS = {
    'none': None,
    'se': dict(type='mmca.SqueezeExcitation', reduction=24),
    'cbam': dict(type='mmca.CBAM', reduction=24),
    'ca': dict(type='mmca.CoordinateAttention', reduction=32),
}
# With the channels of the deepest features.
BACKBONES = [(MobileNetV2, 6, 320), (MobileNeXt, 7, 1280), (EfficientNet, 6, 320)]

each = pytest.mark.parametrize('backbone', [backbone for backbone, *_ in BACKBONES])
each_deepest = pytest.mark.parametrize('backbone, index, channels', BACKBONES)


@each_deepest
@pytest.mark.parametrize('attention', ATTENTIONS)
@pytest.mark.parametrize('output_stride, side', [(32, 8), (16, 16), (8, 32)])
def test_output_stride(backbone, index, channels, attention, output_stride, side):
    strided = backbone(ATTENTIONS[attention], out_indices=(index,))
    model = backbone(ATTENTIONS[attention], out_indices=(index,), output_stride=output_stride)
    model.load_state_dict(strided.state_dict())
    with torch.no_grad():
        assert model.eval()(torch.randn(1, 3, 256, 256))[0].shape == (1, channels, side, side)


@each_deepest
@pytest.mark.parametrize('output_stride', [16, 8])
def test_dilated_features_contain_the_strided_ones(backbone, index, channels, output_stride):
    """DeepLab's rule exactly: every second position of each removed stride is the old map."""
    torch.manual_seed(0)
    strided = backbone(out_indices=(index,)).double().eval()
    dilated = backbone(out_indices=(index,), output_stride=output_stride).double().eval()
    dilated.load_state_dict(strided.state_dict())
    x = torch.randn(1, 3, 96, 160, dtype=torch.float64)
    step = 32 // output_stride
    torch.testing.assert_close(dilated(x)[0][:, :, ::step, ::step], strided(x)[0])


@pytest.mark.parametrize(
    'backbone, strides, dilations',
    [
        (MobileNetV2, (1, 2, 2, 1, 1, 1, 1), (1, 1, 1, 2, 2, 4, 4)),
        (MobileNeXt, (2, 1, 2, 1, 1, 1, 1, 1), (1, 1, 1, 2, 2, 4, 4, 4)),
    ],
)
def test_strides_and_dilations_by_hand_equal_output_stride(backbone, strides, dilations):
    def convolutions(model):
        convs = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
        return [(conv.stride, conv.dilation) for conv in convs]

    by_hand = convolutions(backbone(strides=strides, dilations=dilations))
    assert by_hand == convolutions(backbone(output_stride=8))
    assert max(by_hand, key=lambda pair: pair[1])[1] == (4, 4)


@each
def test_frozen_stages_and_norm_eval(backbone):
    model = backbone(ATTENTIONS['ca'], frozen_stages=2, norm_eval=True).train()
    frozen = {n.split('.')[0] for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {'conv1', 'layer1', 'layer2'}
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not any(m.training for m in norms) and model.layer3.training
    before = [m.running_mean.clone() for m in norms]
    model(torch.randn(2, 3, 32, 32))[0].mean().backward()
    assert all(torch.equal(m.running_mean, b) for m, b in zip(norms, before, strict=True))
    assert model.train() is model and model.eval() is model


@each
def test_checkpointing_gives_the_same_gradients(backbone):
    torch.manual_seed(0)
    plain = backbone(ATTENTIONS['ca']).double()
    saving = backbone(ATTENTIONS['ca'], with_cp=True).double()
    saving.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    for model in (plain, saving):
        model(x)[0].square().mean().backward()
    for a, b in zip(plain.parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
