import pytest
import torch
import torchvision

from mmca.models import CoordinateAttention, MobileNetV2

ATTENTIONS = {
    'none': None,
    'se': dict(type='mmca.SqueezeExcitation', reduction=24),
    'cbam': dict(type='mmca.CBAM', reduction=24),
    'ca': dict(type='mmca.CoordinateAttention', reduction=32),
}


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    'attention, millions', [('none', 2.224), ('se', 2.607), ('cbam', 2.609), ('ca', 2.670)]
)
def test_parameters(attention, millions):
    """With the 1280-channel layer, without the classifier's 1.281 M."""
    assert round(count(MobileNetV2(ATTENTIONS[attention])) / 1e6, 3) == millions


@pytest.mark.parametrize(
    'factor, attention, millions',
    [(0.75, 'none', 2.636), (0.75, 'ca', 2.892), (0.5, 'none', 1.969), (0.5, 'ca', 2.096)],
)
def test_width(factor, attention, millions):
    classifier = 1280 * 1000 + 1000
    model = MobileNetV2(ATTENTIONS[attention], widen_factor=factor)
    assert round((count(model) + classifier) / 1e6, 3) == millions


def test_equals_torchvision():
    torch.manual_seed(0)
    theirs = torchvision.models.mobilenet_v2().features.eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    ours = MobileNetV2().eval()
    # Both register their layers in the order of the network.
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = torch.randn(2, 3, 97, 130)
    torch.testing.assert_close(ours(x)[0], theirs(x))


def test_sixteen_blocks_carry_the_attention_before_the_projection():
    model = MobileNetV2(ATTENTIONS['ca'])
    owners = [n for n, m in model.named_modules() if isinstance(m, CoordinateAttention)]
    assert len(owners) == 16 and 'layer1.0.attention' not in owners
    assert [n for n, _ in model.layer2[0].named_layers()] == [
        'expand_conv',
        'depthwise_conv',
        'attention',
        'project_conv',
    ]


def test_features_and_their_order():
    model = MobileNetV2(out_indices=(0, 1, 2, 3, 4, 5, 6, 7)).eval()
    features = model(torch.randn(1, 3, 64, 96))
    assert [f.shape[1] for f in features] == [16, 24, 32, 64, 96, 160, 320, 1280]
    assert [64 // f.shape[2] for f in features] == [2, 4, 8, 16, 16, 32, 32, 32]
    assert not hasattr(MobileNetV2(out_indices=(4, 6)), 'conv2')


def test_initialisation_is_the_authors():
    """Normal with variance 2 / fan_out, batch norm at 1 and 0."""
    model = MobileNetV2(ATTENTIONS['ca'])
    model.init_weights()
    weight = model.layer7[0].project_conv.conv.weight
    assert weight.std().item() == pytest.approx((2 / 320) ** 0.5, rel=0.02)
    assert model.layer7[0].project_conv.bn.weight.eq(1).all()


@pytest.mark.parametrize('attention', ['se', 'cbam', 'ca'])
def test_gates_are_not_saturated_at_the_start(attention):
    """A gate near 0 or 1 passes no gradient: such a network would not learn from scratch."""
    torch.manual_seed(0)
    model = MobileNetV2(ATTENTIONS[attention])
    model.init_weights()
    gates = []

    def record(block, inputs, output):
        x = inputs[0]
        gates.append((output / x)[x > 0])

    for module in model.modules():
        if type(module).__name__ == type(model.layer2[0].attention).__name__:
            module.register_forward_hook(record)
    model(torch.randn(4, 3, 96, 96))
    assert len(gates) == 16
    for gate in gates:
        assert ((gate > 0.01) & (gate < 0.99)).float().mean() > 0.95
