"""The attentions after CA: against timm, their formulas by hand, and their published sizes."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from helpers.golden import DATA, draw_tensor
from mmca.models import ECA, ELA, EMA, SCSA, MobileNetV2, SimAM, StripAttention, TripletAttention
from mmca.registry import MODELS

CLASSIFIER = 1280 * 1000 + 1000


def randomise(module):
    """Weights and norms in double precision that differ from those of the start."""
    torch.manual_seed(0)
    for tensor in module.double().eval().state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.2)
    return module


# Made with timm 1.0.31, in float64: EcaModule(24), EfficientLocalAttn(24) and StripAttn(24), their
# state dict drawn in order as below, then the input.
@pytest.mark.parametrize(
    'module',
    [
        ECA(24),
        ELA(24, num_groups=1, act_cfg=dict(type='SiLU')),
        StripAttention(24),
    ],
    ids=lambda module: type(module).__name__,
)
def test_equals_timm(module):
    rng = np.random.default_rng(7)
    weights = {k: draw_tensor(rng, v.shape, v.dtype) for k, v in module.state_dict().items()}
    module.load_state_dict(weights)
    x = draw_tensor(rng, (1, 24, 5, 6), torch.float64)
    golden = np.load(DATA / 'timm_attentions.npz')[type(module).__name__]
    torch.testing.assert_close(module.double()(x).float(), torch.from_numpy(golden))


@pytest.mark.parametrize(
    ('channels', 'kernel'), [(16, 3), (96, 3), (144, 5), (192, 5), (576, 5), (960, 5), (2048, 7)]
)
def test_kernel_of_eca_follows_from_the_channels(channels, kernel):
    """Eq. 12: the odd number next to |(log2 C + 1) / 2|."""
    assert ECA(channels).conv.kernel_size == (kernel,)


def test_triplet_attention_by_hand():
    module = randomise(TripletAttention(6, kernel_size=3))
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64)

    def gated(rotated, plane):
        """The paper's branch: Z-pool over the first dimension of the rotated map."""
        pool = torch.cat([rotated.amax(1, keepdim=True), rotated.mean(1, keepdim=True)], dim=1)
        conv, bn = getattr(module, f'conv_{plane}'), getattr(module, f'bn_{plane}')
        return rotated * torch.sigmoid(bn(F.conv2d(pool, conv.weight, padding=1)))

    by_height = gated(x.permute(0, 2, 1, 3), 'cw').permute(0, 2, 1, 3)
    by_width = gated(x.permute(0, 3, 2, 1), 'hc').permute(0, 3, 2, 1)
    torch.testing.assert_close(module(x), (by_height + by_width + gated(x, 'hw')) / 3)


def test_simam_by_hand():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    variance = x.var(dim=(2, 3), keepdim=True)
    deviation = (x - x.mean((2, 3), keepdim=True)) ** 2
    inverse_energy = (deviation + 2 * variance + 2e-4) / (4 * (variance + 1e-4))
    torch.testing.assert_close(SimAM(3)(x), x * torch.sigmoid(inverse_energy))


def test_ema_by_hand():
    module = randomise(EMA(8, factor=4))
    assert module.groups == 4
    x = torch.randn(1, 8, 3, 5, dtype=torch.float64)
    weight, bias = module.conv1x1.weight[:, :, 0, 0], module.conv1x1.bias
    parts = []
    for group in x[0].split(2):  # (2, 3, 5)
        gate_h = torch.sigmoid(weight @ group.mean(2) + bias[:, None])
        gate_w = torch.sigmoid(weight @ group.mean(1) + bias[:, None])
        one = (group * gate_h[:, :, None] * gate_w[:, None])[None]
        one = F.group_norm(one, 2, module.norm.weight, module.norm.bias)[0]
        three = F.conv2d(group[None], module.conv3x3.weight, module.conv3x3.bias, padding=1)[0]
        crossed = torch.einsum('c,chw->hw', one.mean((1, 2)).softmax(0), three)
        crossed = crossed + torch.einsum('c,chw->hw', three.mean((1, 2)).softmax(0), one)
        parts.append(group * torch.sigmoid(crossed))
    torch.testing.assert_close(module(x)[0], torch.cat(parts))


@pytest.mark.parametrize(('channels', 'groups'), [(96, 32), (144, 36), (80, 40), (960, 32)])
def test_groups_of_ema_divide_the_channels(channels, groups):
    assert EMA(channels).groups == groups


def test_ela_as_in_the_paper_has_no_activation():
    module = randomise(ELA(16, kernel_size=5, channels_per_group=8, num_groups=4))
    assert module.conv_h.weight.shape == (16, 8, 5, 1)
    x = torch.randn(2, 16, 6, 7, dtype=torch.float64)
    gates = []
    for dim, side in ((3, 'h'), (2, 'w')):
        conv, norm = getattr(module, f'conv_{side}'), getattr(module, f'norm_{side}')
        strip = F.conv1d(x.mean(dim), conv.weight.flatten(2), padding=2, groups=2)
        strip = F.group_norm(strip, 4, norm.weight, norm.bias)
        gates.append(torch.sigmoid(strip).unsqueeze(dim))
    torch.testing.assert_close(module(x), x * gates[0] * gates[1])


def test_scsa_by_hand():
    module = randomise(SCSA(8, window_size=2))
    x = torch.randn(1, 8, 4, 6, dtype=torch.float64)
    spatial = x
    for dim, norm in ((3, module.norm_h), (2, module.norm_w)):
        strips = [
            F.conv1d(part, conv.weight, conv.bias, padding=size // 2, groups=2)
            for part, conv, size in zip(x.mean(dim).split(2, 1), module.convs, (3, 5, 7, 9))
        ]
        strip = F.group_norm(torch.cat(strips, 1), 4, norm.weight, norm.bias)
        spatial = spatial * torch.sigmoid(strip).unsqueeze(dim)
    windows = F.group_norm(F.avg_pool2d(spatial, 2), 1, module.norm.weight, module.norm.bias)
    convs = module.query, module.key, module.value
    q, k, v = (windows.flatten(2)[0] * conv.weight[:, 0, 0] for conv in convs)
    channels = ((q @ k.T / 8**0.5).softmax(1) @ v).mean(1)
    torch.testing.assert_close(module(x), spatial * torch.sigmoid(channels)[None, :, None, None])


def test_scsa_uses_all_of_a_map_that_is_no_multiple_of_the_window():
    module = SCSA(8, window_size=7).double()
    x = torch.randn(1, 8, 9, 15, dtype=torch.float64, requires_grad=True)
    pooled = module.pool(x)
    assert pooled.shape[2:] == (2, 3)
    torch.testing.assert_close(pooled[0, 0, 1, 2], x[0, 0, 7:, 14:].mean())


# Added to MobileNetV2's 3,504,872 at the 16 blocks, as counted from the papers; Triplet attention's
# authors publish 3.506 M (k=3) and 3.51 M (k=7), EMA's 3.55 M.
@pytest.mark.parametrize(
    ('options', 'added', 'millions'),
    [
        (dict(type='ECA'), 78, 3.505),
        (dict(type='TripletAttention'), 4_800, 3.510),
        (dict(type='TripletAttention', kernel_size=3), 960, 3.506),
        (dict(type='SimAM'), 0, 3.505),
        (dict(type='EMA'), 44_854, 3.550),
        (dict(type='ELA'), 127_872, 3.633),
        (dict(type='SCSA'), 113_664, 3.619),
        (dict(type='StripAttention'), 42_624, 3.547),
    ],
)
def test_parameters_within_mobilenet_v2(options, added, millions):
    model = MobileNetV2(options | dict(type=f'mmca.{options["type"]}'))
    total = sum(p.numel() for p in model.parameters()) + CLASSIFIER
    assert total - added == 3_504_872
    assert round(total / 1e6, 3) == millions


# In names of the state dict: checkpoints depend on them.
NAMES = {
    'ECA': ['conv.weight'],
    'TripletAttention': ['conv_cw', 'bn_cw', 'conv_hc', 'bn_hc', 'conv_hw', 'bn_hw'],
    'SimAM': [],
    'EMA': ['conv1x1', 'conv3x3', 'norm'],
    'ELA': ['conv_h', 'conv_w', 'norm_h', 'norm_w'],
    'SCSA': ['convs', 'norm_h', 'norm_w', 'norm', 'query', 'key', 'value'],
    'StripAttention': ['conv_h', 'conv_w'],
}


@pytest.mark.parametrize('name', NAMES)
def test_names_and_own_place(name):
    kind = MODELS.get(f'mmca.{name}')
    layers = dict.fromkeys(key.partition('.')[0] for key in kind(16).state_dict())
    assert list(layers) == [key.partition('.')[0] for key in NAMES[name]]
    place = dict(TripletAttention='after_projection', SimAM='before_norm')
    model = MobileNetV2(dict(type=f'mmca.{name}'), widen_factor=0.25)
    assert model.attention_position == place.get(name, 'before_projection')


@pytest.mark.parametrize(
    ('kind', 'options', 'message'),
    [
        (ECA, dict(kernel_size=4), 'kernel_size=4 must be odd'),
        (TripletAttention, dict(kernel_size=0), 'kernel_size=0 must be a whole number >= 1'),
        (SimAM, dict(e_lambda=0), 'e_lambda=0 must be above 0'),
        (EMA, dict(factor=0), 'factor=0 must be'),
        (ELA, dict(channels_per_group=3), 'channels_per_group=3 does not divide in_channels=16'),
        (SCSA, dict(kernel_sizes=(3, 5, 7)), 'in_channels=16 cannot be split for 3 kernel_sizes'),
        (StripAttention, dict(kernel_size=2), 'kernel_size=2 must be odd'),
    ],
)
def test_options_out_of_range(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(16, **options)
