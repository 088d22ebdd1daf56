"""Each attention at each place of a block."""

import pytest
import torch

from mmca import insert_attention
from mmca.checkpoint import CheckpointError
from mmca.models import MobileNetV2, MobileNeXt
from mmca.ops.implementation import use_implementation

CA = dict(type='mmca.CoordinateAttention', reduction=32)


def randomise(model):
    torch.manual_seed(0)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    return model


@pytest.mark.parametrize(
    ('position', 'channels'),
    [('before_norm', 144), ('before_projection', 144), ('after_projection', 24), (None, 144)],
)
def test_place_in_the_block_of_mobilenet_v2(position, channels):
    """Layer by layer, as the names say; fused where kernels serve the place."""
    model = randomise(MobileNetV2(CA, attention_position=position)).eval()
    block = model.layer2[1]
    assert block.attention.conv1.in_channels == channels
    x = torch.randn(2, 24, 9, 7)
    depthwise, project = block.depthwise_conv, block.project_conv
    with torch.no_grad(), use_implementation('plain'):
        hidden = depthwise.conv(block.expand_conv(x))
        if position == 'before_norm':
            hidden = block.attention(hidden)
        hidden = depthwise.activate(depthwise.norm(hidden))
        if position in ('before_projection', None):
            hidden = block.attention(hidden)
        out = project(hidden)
        if position == 'after_projection':
            out = block.attention(out)
    with torch.no_grad():
        torch.testing.assert_close(block(x), x + out)


@pytest.mark.parametrize(
    ('position', 'blocks'), [('before_norm', 15), ('first', 15), ('last', 18), (None, 15)]
)
def test_place_in_the_blocks_of_mobilenext(position, blocks):
    model = randomise(MobileNeXt(CA, attention_position=position, widen_factor=0.25)).eval()
    names = {name.rpartition('.')[0] for name in model.state_dict() if '.conv_h.' in name}
    assert len(names) == blocks
    block = model.layer3[1]
    x = torch.randn(2, block.attention.conv1.in_channels, 9, 7)
    first = block.depthwise_conv1
    with torch.no_grad(), use_implementation('plain'):
        out = first.conv(x)
        out = block.attention(out) if position == 'before_norm' else out
        out = first.activate(first.norm(out))
        out = block.attention(out) if position in ('first', None) else out
        out = block.depthwise_conv2(block.expand_conv(block.reduce_conv(out)))
        out = block.attention(out) if position == 'last' else out
    with torch.no_grad():
        torch.testing.assert_close(block(x), x + out)


@pytest.mark.parametrize(
    ('name', 'in_v2', 'in_next'),
    [
        ('CoordinateAttention', 'before_projection', 'first'),
        ('TripletAttention', 'after_projection', 'last'),
        ('SimAM', 'before_norm', 'before_norm'),
    ],
)
def test_default_is_the_place_of_its_authors(name, in_v2, in_next):
    attention = dict(type=f'mmca.{name}')
    assert MobileNetV2(attention, widen_factor=0.25).attention_position == in_v2
    assert MobileNeXt(attention, widen_factor=0.25).attention_position == in_next


def test_unknown_place():
    message = "attention_position='last' is not one of 'before_norm', 'before_projection', "
    with pytest.raises(ValueError, match=message):
        MobileNetV2(CA, attention_position='last')


def test_recomputed_in_backward_at_each_place():
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    for position in ('before_norm', 'after_projection'):
        options = dict(widen_factor=0.25, attention_position=position)
        plain = MobileNetV2(CA, **options).double()
        saving = MobileNetV2(CA, with_cp=True, **options).double()
        saving.load_state_dict(plain.state_dict())
        for model in (plain, saving):
            model(x)[0].square().mean().backward()
        for a, b in zip(plain.parameters(), saving.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad)


def test_inserted_after_the_projection_but_not_inside_a_layer():
    plain = randomise(MobileNetV2(widen_factor=0.25)).eval()
    after = MobileNetV2(CA, widen_factor=0.25, attention_position='after_projection').eval()
    after.load_state_dict(insert_attention(plain.state_dict(), after))
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(after(x), plain(x))
    inside = MobileNetV2(CA, widen_factor=0.25, attention_position='before_norm')
    with pytest.raises(CheckpointError, match=r'layer2\.0\.attention stands inside a layer'):
        insert_attention(plain.state_dict(), inside)
