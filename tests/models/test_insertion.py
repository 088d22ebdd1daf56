"""An attention inserted into a plain network leaves its outputs as they are, and then learns."""

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

import mmca
from mmca.checkpoint import CheckpointError
from mmca.models import CoordinateAttention, MobileNetV2, MobileNeXt
from mmca.models.necks import SSDLiteNeck

SE = dict(type='mmca.SqueezeExcitation', reduction=24)
CBAM = dict(type='mmca.CBAM', reduction=24)
CA = dict(type='mmca.CoordinateAttention', reduction=32)
ATTENTIONS = {'se': SE, 'cbam': CBAM, 'ca': CA, 'ca, one axis': dict(CA, axes='h')}
# Outputs within the network and, of MobileNeXt, within its blocks, as SSDLite takes them.
NETWORKS = {
    'mbv2': (MobileNetV2, dict(out_indices=(4, 7)), {}),
    'mbv2, stride 16': (MobileNetV2, dict(out_indices=(6,), output_stride=16), {}),
    'mnext': (MobileNeXt, dict(out_indices=(7,), expanded_indices=(5, 7)), {}),
    'mnext, last': (
        MobileNeXt,
        dict(out_indices=(7,), expanded_indices=(5, 7)),
        dict(attention_position='last'),
    ),
}


def trained(net: nn.Module) -> nn.Module:
    """Drawn weights with norms that do something, as after a training."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net


def plain_and_attentive(
    network: str = 'mbv2', attention: dict = CA, width: float = 0.25, **options
) -> tuple[nn.Module, nn.Module]:
    """A plain network, and one with attention that has no weights of it yet."""
    torch.manual_seed(0)
    backbone, shared, own = NETWORKS[network]
    plain = trained(backbone(widen_factor=width, **shared))
    return plain, backbone(attention, widen_factor=width, **shared, **own, **options)


def assert_same_outputs(net: nn.Module, plain: nn.Module, **tolerance: float) -> None:
    """In eval mode, and in training mode with the statistics of the batch."""
    x = torch.randn(2, 3, 64, 96)
    for mode in (False, True):
        net.train(mode)
        plain.train(mode)
        with torch.no_grad():
            for ours, theirs in zip(net(x), plain(x), strict=True):
                torch.testing.assert_close(ours, theirs, **tolerance)


@pytest.mark.parametrize('attention', ATTENTIONS)
@pytest.mark.parametrize('network', NETWORKS)
def test_the_outputs_stay_the_same(network, attention):
    plain, net = plain_and_attentive(network, ATTENTIONS[attention])
    state = mmca.insert_attention(plain.state_dict(), net)
    assert list(state) == list(net.state_dict())
    net.load_state_dict(state)
    assert_same_outputs(net, plain)


@pytest.mark.parametrize('width', [0.5, 0.75])
def test_at_any_width_and_bias(width):
    plain, net = plain_and_attentive(width=width, attention=CBAM)
    net.load_state_dict(mmca.insert_attention(plain.state_dict(), net, bias=1.0))
    assert net.layer2[0].attention.conv_expand.bias.unique().item() == 0.5  # it is added up twice
    assert_same_outputs(net, plain, rtol=1e-3, atol=1e-4)


def test_the_kernels_compute_the_same(fast):
    plain, net = plain_and_attentive()
    net.load_state_dict(mmca.insert_attention(plain.state_dict(), net))
    assert_same_outputs(net, plain, rtol=1e-3, atol=1e-4)


def test_a_whole_model_keeps_its_other_parts():
    options = dict(in_channels=320, out_channels=(16, 16), hidden_ratios=(0.5, 0.5))
    plain, net = plain_and_attentive()
    plain = nn.ModuleDict(dict(backbone=plain, neck=SSDLiteNeck(**options)))
    net = nn.ModuleDict(dict(backbone=net, neck=SSDLiteNeck(**options)))
    state = mmca.insert_attention(plain.state_dict(), net)
    net.load_state_dict(state)
    for key, value in plain.neck.state_dict().items():
        assert torch.equal(state[f'neck.{key}'], value)
    assert_same_outputs(net.backbone, plain.backbone)


@pytest.mark.parametrize('attention', ATTENTIONS)
def test_the_gates_move_with_the_first_step_and_all_of_them_with_the_second(attention):
    _, net = plain_and_attentive(attention=ATTENTIONS[attention])
    plain, _ = plain_and_attentive()
    net.load_state_dict(mmca.insert_attention(plain.state_dict(), net))
    gates = net.layer4[1].attention
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    x = torch.randn(4, 3, 64, 64)
    moved = []
    for _ in range(2):
        before = {key: value.clone() for key, value in gates.named_parameters()}
        optimiser.zero_grad()
        net(x)[0].square().mean().backward()
        optimiser.step()
        moved.append({k for k, v in gates.named_parameters() if not torch.equal(v, before[k])})
    last = {f'{layer}.weight' for layer in gates.gate_layers()}
    first = {'conv1.weight'} if 'ca' in attention else {'conv_reduce.weight'}
    assert last <= moved[0] and not first & moved[0]
    assert last | first <= moved[1]


def test_what_is_new_is_the_models_own():
    plain, net = plain_and_attentive()
    state = mmca.insert_attention(plain.state_dict(), net)
    again = mmca.insert_attention(plain.state_dict(), net)
    assert all(torch.equal(state[key], again[key]) for key in state)
    own = net.state_dict()
    key = 'layer3.0.attention.conv1.weight'
    assert torch.equal(state[key], own[key])
    assert not state['layer3.0.attention.conv_h.weight'].any()
    assert own['layer3.0.attention.conv_h.weight'].any()  # the model itself is not changed


def test_half_precision_weights_lose_nothing():
    plain, net = plain_and_attentive()
    half = {k: v.half() if v.is_floating_point() else v for k, v in plain.state_dict().items()}
    state = mmca.insert_attention(half, net, bias=1.0)
    assert state['layer2.0.project_conv.conv.weight'].dtype == torch.float32
    assert state['layer2.0.expand_conv.conv.weight'].dtype == torch.float16
    plain.load_state_dict(half)
    net.load_state_dict(state)
    assert_same_outputs(net, plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('attention', ATTENTIONS)
@pytest.mark.parametrize('network', ['mbv2', 'mnext, last'])
def test_removing_gives_the_plain_weights_back(network, attention):
    plain, net = plain_and_attentive(network, ATTENTIONS[attention])
    inserted = mmca.insert_attention(plain.state_dict(), net)
    back = mmca.remove_attention(inserted, net)
    weights = plain.state_dict()
    assert list(back) == list(weights)
    assert all(torch.equal(back[key], value) for key, value in weights.items())


def test_gates_that_are_constant_but_differ_are_removed_too():
    plain, net = plain_and_attentive(attention=SE)
    state = mmca.insert_attention(plain.state_dict(), net)
    torch.manual_seed(1)
    for key, value in state.items():
        if key.endswith('conv_expand.bias'):
            nn.init.normal_(value)
    net.load_state_dict(state)
    plain.load_state_dict(mmca.remove_attention(state, net))
    assert_same_outputs(plain, net, rtol=1e-3, atol=1e-4)


def test_trained_gates_are_not_removed():
    plain, net = plain_and_attentive()
    state = mmca.insert_attention(plain.state_dict(), net)
    state['layer3.1.attention.conv_w.weight'][0, 0] = 1e-6
    message = r'layer3.1.attention.conv_w.weight and 0 others are not 0.*no plain network computes'
    with pytest.raises(CheckpointError, match=message):
        mmca.remove_attention(state, net)


def test_what_has_an_attention_already_is_refused():
    _, net = plain_and_attentive()
    with pytest.raises(CheckpointError, match='The state dict has CoordinateAttention already'):
        mmca.insert_attention(net.state_dict(), net)


def test_what_does_not_fit_is_named():
    plain, net = plain_and_attentive()
    state = plain.state_dict()
    del state['layer2.0.project_conv.conv.weight']
    state['classifier.weight'] = torch.ones(1)
    with pytest.raises(CheckpointError) as error:
        mmca.insert_attention(state, net)
    assert '2 tensors differ' in str(error.value)
    assert 'missing: layer2.0.project_conv.conv.weight' in str(error.value)
    assert 'unexpected: classifier.weight' in str(error.value)
    wider, _ = plain_and_attentive(width=0.5)
    message = r'its width differs \(stem of 16 and 8 channels\).*same network and width'
    with pytest.raises(CheckpointError, match=message):
        mmca.insert_attention(wider.state_dict(), net)


def test_a_model_without_attention_is_refused():
    plain, _ = plain_and_attentive()
    for change in (mmca.insert_attention, mmca.remove_attention):
        with pytest.raises(CheckpointError, match='MobileNetV2 has no attention that could be'):
            change(plain.state_dict(), plain)


def test_other_places_are_refused():
    from mmengine.registry import init_default_scope

    init_default_scope('mmseg')
    plugin = dict(cfg=dict(CA), stages=(False, False, True, False), position='after_conv3')
    net = MODELS.build(dict(type='mmseg.ResNet', depth=50, base_channels=8, plugins=[plugin]))
    with pytest.raises(CheckpointError, match='layer3.0.*: this CoordinateAttention cannot be'):
        mmca.insert_attention({}, net)
    block = MobileNetV2(CA, widen_factor=0.25)
    block.layer2[0].extra = CoordinateAttention(48)
    with pytest.raises(CheckpointError, match='layer2.0.extra: .* no linear layer that could take'):
        mmca.insert_attention({}, block)


def test_an_attention_that_does_not_say_what_its_gates_are_is_refused():
    _, net = plain_and_attentive()
    net.layer2[0].attention = nn.Conv2d(48, 48, 1)
    with pytest.raises(CheckpointError, match='layer2.0.attention: Conv2d does not say which'):
        mmca.insert_attention({}, net)


def test_nothing_linear_beside_it_is_refused():
    net = MobileNeXt(CA, 'last', widen_factor=0.25, norm_cfg=None)
    with pytest.raises(CheckpointError, match='layer1.0.attention: neither a linear layer follows'):
        mmca.insert_attention({}, net)
