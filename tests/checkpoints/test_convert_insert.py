"""Inserting an attention into a checkpoint file: by the tool, and where a training starts."""

from pathlib import Path

import pytest
import torch
import torchvision

from helpers.tools import ROOT, run_tool
from mmca.checkpoint import CheckpointError, load_backbone, load_file, prepare_pretrained
from mmca.convert.convert import convert_file
from mmca.models import MobileNetV2

CA = dict(type='mmca.CoordinateAttention', reduction=32)


@pytest.fixture(scope='module')
def source(tmp_path_factory) -> str:
    """A narrow network of torchvision, with norms that do something."""
    torch.manual_seed(0)
    net = torchvision.models.mobilenet_v2(num_classes=3, width_mult=0.5)
    net.train()(torch.randn(4, 3, 64, 64))
    path = tmp_path_factory.mktemp('source') / 'torchvision.pth'
    torch.save(net.state_dict(), path)
    return str(path)


def config(attention: str) -> str:
    return str(ROOT / 'configs' / f'{attention}_imagenet_w050.py')


def logits(backbone: torch.nn.Module, path: Path, training: bool) -> torch.Tensor:
    load_backbone(backbone, path)
    torch.manual_seed(1)
    head = load_file(path)['state_dict']
    with torch.no_grad():
        features = backbone.train(training)(torch.randn(2, 3, 64, 64))[0].mean((2, 3))
        return features @ head['head.fc.weight'].T + head['head.fc.bias']


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('name', ['mbv2se', 'mbv2cbam', 'mbv2ca'])
def test_the_tool_inserts_and_removes(tmp_path, source, name, training):
    said = convert_file(source, tmp_path / 'ca.pth', insert=config(name))
    assert any(f'inserted the attention of {config(name)}' in line for line in said)
    convert_file(source, tmp_path / 'plain.pth')
    attention = dict(
        type='mmca.' + {'se': 'SqueezeExcitation', 'cbam': 'CBAM'}.get(name[4:], CA['type'][5:])
    )
    torch.testing.assert_close(
        logits(MobileNetV2(attention, widen_factor=0.5), tmp_path / 'ca.pth', training),
        logits(MobileNetV2(widen_factor=0.5), tmp_path / 'plain.pth', training),
    )
    convert_file(tmp_path / 'ca.pth', tmp_path / 'back.pth', remove=config(name))
    plain, back = (load_file(tmp_path / f'{x}.pth')['state_dict'] for x in ('plain', 'back'))
    assert list(plain) == list(back) and all(torch.equal(plain[k], back[k]) for k in plain)


def test_the_command_gives_the_same_file_each_time(tmp_path, source):
    for name in ('one', 'two'):
        outcome = run_tool(
            'convert_checkpoint', source, tmp_path / f'{name}.pth', '--insert', config('mbv2ca')
        )
        assert outcome.code == 0 and 'KaimingInit' not in outcome.output, outcome.output
    one, two = (load_file(tmp_path / f'{x}.pth')['state_dict'] for x in ('one', 'two'))
    assert all(torch.equal(one[key], two[key]) for key in one | two)


def test_inserted_weights_go_to_the_authors_names(tmp_path, source):
    convert_file(source, tmp_path / 'authors.pth', to='authors', insert=config('mbv2ca'))
    assert not load_file(tmp_path / 'authors.pth')['features.2.conv.6.conv2.weight'].any()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(insert='mbv2ca_imagenet'), r'its width differs \(stem of 16 and 32 channels\)'),
        (dict(insert='mbv2_imagenet_w050'), 'MobileNetV2 has no attention that could be inserted'),
        (dict(insert='mnextca_imagenet_w050'), 'does not fit the model'),
        (dict(remove='mbv2ca_imagenet_w050'), 'it was trained with no attention, the model has Co'),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, source, options, message):
    options = {key: str(ROOT / 'configs' / f'{name}.py') for key, name in options.items()}
    with pytest.raises(CheckpointError, match=message):
        convert_file(source, tmp_path / 'out.pth', **options)
    assert not list(tmp_path.iterdir())


def test_an_attention_is_not_inserted_twice(tmp_path, source):
    convert_file(source, tmp_path / 'ca.pth', insert=config('mbv2ca'))
    with pytest.raises(CheckpointError, match='ca.pth has CoordinateAttention already'):
        convert_file(tmp_path / 'ca.pth', tmp_path / 'out.pth', insert=config('mbv2se'))


def test_a_config_without_our_backbone_is_refused(tmp_path, source):
    path = tmp_path / 'other.py'
    path.write_text("model = dict(backbone=dict(type='ResNet'))\n")
    with pytest.raises(CheckpointError, match="other.py: its backbone is 'ResNet'; give a config"):
        convert_file(source, tmp_path / 'out.pth', insert=str(path))
    with pytest.raises(CheckpointError, match='gone.py: no such config'):
        convert_file(source, tmp_path / 'out.pth', insert='gone.py')


def test_a_training_starts_from_plain_weights(tmp_path, source):
    path = tmp_path / 'plain.pth'
    convert_file(source, path)
    options = dict(widen_factor=0.5, out_indices=(6,), pretrained=str(path))
    plain, net = MobileNetV2(**options), MobileNetV2(CA, insert_attention=True, **options)
    plain.init_weights()
    net.init_weights()
    x = torch.randn(2, 3, 64, 64)
    for mode in (False, True):
        torch.testing.assert_close(net.train(mode)(x)[0], plain.train(mode)(x)[0])

    with pytest.raises(CheckpointError, match='Or have the attention inserted: .*insert_attention'):
        MobileNetV2(CA, **options).init_weights()
    convert_file(source, path, insert=config('mbv2ca'), force=True)
    with pytest.raises(CheckpointError, match=f'Checkpoint {path} has CoordinateAttention already'):
        MobileNetV2(CA, insert_attention=True, **options).init_weights()


def test_inserting_without_weights_or_attention_is_refused():
    net = MobileNetV2(CA, widen_factor=0.25, insert_attention=True)
    with pytest.raises(CheckpointError, match='no plain weights .*: set model.backbone.pretrained'):
        net.init_weights()
    prepare_pretrained(net, resumed=True)  # a run that goes on has them already
    net.init_weights()
    with pytest.raises(ValueError, match='insert_attention=True, but there is no attention'):
        MobileNetV2(insert_attention=True)
