"""What cannot be converted is refused with the reason and the remedy, and nothing is lost."""

import os
import shutil
from pathlib import Path

import pytest
import torch
import torchvision

from helpers.golden import draw
from helpers.tools import run_tool, truncate
from mmca.checkpoint import CheckpointError, load_backbone, load_file
from mmca.checkpoint.naming import foreign_names
from mmca.convert.recognise import SCHEMES
from mmca.convert.scheme import build
from mmca.models import MobileNetV2, MobileNeXt

CA = dict(type='mmca.CoordinateAttention', reduction=32)
SE = dict(type='mmca.SqueezeExcitation', reduction=24)
CBAM = dict(type='mmca.CBAM', reduction=24)


@pytest.fixture(scope='module')
def narrow() -> dict:
    """Weights of a narrow torchvision model."""
    return torchvision.models.mobilenet_v2(num_classes=3, width_mult=0.25).state_dict()


def save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def refuse(*arguments: object) -> str:
    """Run the tool, which has to fail in one message, and return it."""
    outcome = run_tool('convert_checkpoint', *arguments)
    assert outcome.code == 1, outcome.output
    assert outcome.output.startswith('Error: ') and 'Traceback' not in outcome.output
    return outcome.output


def convert(*arguments: object) -> str:
    outcome = run_tool('convert_checkpoint', *arguments)
    assert outcome.code == 0, outcome.output
    return outcome.output


def test_each_key_that_does_not_match_is_listed_until_it_is_named(tmp_path, narrow):
    weights = dict(narrow)
    weights['features.3.conv.3.weight'] = torch.ones(9)
    weights['extra.weight'] = torch.ones(2)
    weights['epoch'] = 3
    del weights['classifier.1.weight'], weights['classifier.1.bias']
    del weights['features.2.conv.1.1.running_var']
    source, target = save(tmp_path / 'src.pth', weights), tmp_path / 'dst.pth'
    message = refuse(source, target)
    assert f"{source}: torchvision's mobilenet_v2: mmca.MobileNetV2(widen_factor=0.25" in message
    assert 'no classifier: 6 tensors do not match' in message
    for line in (
        'missing: features.2.conv.1.1.running_var',
        'missing: classifier.1.weight',
        'missing: classifier.1.bias',
        'shape: features.3.conv.3.weight is (9,), expected (8,)',
        'unknown: extra.weight',
        'unknown: epoch',
    ):
        assert f'\n  {line}\n' in message
    names = ['features.2.conv.1.1.running_var', 'classifier', 'features.3.conv.3.weight']
    names += ['extra', 'epoch']
    assert f'--drop {" ".join(names)}\n' in message
    assert not target.exists()

    # One that is not named is still an error.
    assert '1 tensors do not match' in refuse(source, target, '--drop', *names[:-1])
    output = convert(source, target, '--drop', *names)
    assert 'dropped: 3 (features.3, extra.weight, epoch)' in output
    assert 'did without: 3 (features.2, classifier.1)' in output
    # What is left goes by our names.
    ours = load_file(target)['state_dict']
    assert len(ours) == len(narrow) - 4
    assert 'backbone.layer2.1.project_conv.bn.weight' not in ours
    assert 'backbone.layer2.1.project_conv.bn.bias' in ours


def test_a_long_list_ends_in_a_count(tmp_path, narrow):
    heads = {f'decode_head.convs.{i}.weight': torch.ones(1) for i in range(30)}
    message = refuse(save(tmp_path / 'src.pth', {**narrow, **heads}), tmp_path / 'dst.pth')
    assert '30 tensors do not match' in message and '--drop decode_head\n' in message
    assert message.count('unknown: decode_head') == 20
    assert message.rstrip().endswith('... and 10 more')


def test_a_drop_that_fits_nothing_is_an_error(tmp_path, narrow):
    source = save(tmp_path / 'src.pth', narrow)
    message = refuse(source, tmp_path / 'dst.pth', '--drop', 'class')
    assert '--drop class fits no tensor' in message
    convert(source, tmp_path / 'dst.pth', '--drop', 'classifier.')
    assert 'head.fc.weight' not in load_file(tmp_path / 'dst.pth')['state_dict']


def test_other_networks_are_not_recognised(tmp_path):
    source = save(tmp_path / 'resnet.pth', torchvision.models.resnet18().state_dict())
    message = refuse(source, tmp_path / 'dst.pth')
    assert f'{source}: not recognised; its first keys are conv1.weight, bn1.weight' in message
    assert 'of whose backbone 1% is there' in message  # the name bn1
    for known in ("torchvision's mobilenet_v2", "the CA authors' MobileNetV2", "mmpretrain's or"):
        assert f'\n  {known}' in message


@pytest.mark.parametrize(
    'model, to, reason',
    [
        (MobileNetV2(SE), 'authors', 'has coordinate attention only'),
        (MobileNetV2(CBAM), 'authors', 'has coordinate attention only'),
        (MobileNetV2(), 'authors', 'always has coordinate attention; try --to torchvision'),
        (MobileNetV2(dict(CA, axes='w')), 'authors', 'always has both axes'),
        (MobileNeXt(CA), 'authors', 'published no code for MobileNeXt with an attention'),
        (MobileNeXt(SE), 'authors', 'published no code for MobileNeXt with an attention'),
        (MobileNetV2(CA), 'torchvision', "torchvision's mobilenet_v2 has no attention"),
        (MobileNeXt(), 'torchvision', 'torchvision has no MobileNeXt'),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_others_cannot_express_is_refused(tmp_path, model, to, reason):
    source = save(tmp_path / 'src.pth', model.state_dict())
    message = refuse(source, tmp_path / 'dst.pth', '--to', to, '--drop', 'head')
    assert f'cannot be converted --to {to}: ' in message and reason in message
    assert not (tmp_path / 'dst.pth').exists()


def test_a_source_without_attention_is_not_taken_for_a_plain_network(tmp_path):
    weights, _, _ = draw('mbv2_ca')
    plain = {key: value for key, value in weights.items() if '.conv.6.' not in key}
    message = refuse(save(tmp_path / 'src.pth', plain), tmp_path / 'dst.pth')
    # 16 blocks of three convolutions with bias and the four tensors of a batch norm
    assert '160 tensors do not match' in message
    assert 'missing: features.2.conv.6.conv1.weight' in message


@pytest.mark.parametrize('link', [shutil.copy, os.link, os.symlink, None])
def test_an_existing_target_is_kept(tmp_path, narrow, link):
    source, target = save(tmp_path / 'src.pth', narrow), tmp_path / 'dst.pth'
    before = source.read_bytes()
    if link is None:
        target = tmp_path / 'folder' / '..' / 'src.pth'
        (tmp_path / 'folder').mkdir()
    else:
        link(source, target)
    if link is shutil.copy:
        assert 'exists; name another file, or overwrite it with --force' in refuse(source, target)
        assert target.read_bytes() == before
        convert(source, target, '--force')
        assert target.read_bytes() != before
        assert sorted(path.name for path in tmp_path.iterdir()) == ['dst.pth', 'src.pth']
    else:
        assert 'is the source itself' in refuse(source, target, '--force')
    assert source.read_bytes() == before


def test_a_failed_conversion_keeps_the_target(tmp_path, narrow):
    target = save(tmp_path / 'dst.pth', 'precious')
    source = truncate(save(tmp_path / 'src.pth', narrow))
    assert f'{source}: not a readable checkpoint' in refuse(source, target, '--force')
    assert f'{source.with_name("gone.pth")}: no such' in refuse(
        tmp_path / 'gone.pth', target, '--force'
    )
    assert torch.load(target, weights_only=True) == 'precious'


def test_target_names(tmp_path, narrow):
    source = save(tmp_path / 'src.pth', narrow)
    message = refuse(source, tmp_path / 'dst.onnx')
    assert 'dst.onnx: the name must end in .pth, .pt, .pth.tar, .safetensors' in message
    (tmp_path / 'folder.pth').mkdir()
    assert 'folder.pth: is a folder; name a file' in refuse(source, tmp_path / 'folder.pth')


@pytest.mark.parametrize(
    'content, arguments, message',
    [
        ({'epoch': 3, 'best': 1.0}, [], 'holds no weights, its entries are epoch, best'),
        (
            {'a': torch.ones(1)},
            ['--ema'],
            'has no averaged copy (state_dict_ema, model_ema, ema, ema_state_dict, ema_model, '
            'model_ema_state_dict), its entries are a. Leave out --ema',
        ),
        (
            {'state_dict': {'a': torch.ones(1)}, 'ema_state_dict': {}},
            ['--ema'],
            'has no averaged copy (state_dict_ema, model_ema, ema, ema_state_dict, ema_model, '
            'model_ema_state_dict), its entries are state_dict, ema_state_dict; mmengine keeps the '
            'average in state_dict. Leave out --ema',
        ),
        (
            {'module.a': torch.ones(1), 'a': torch.zeros(1)},
            [],
            'a is there twice, as module.a and as a: these are two networks. Choose one by its ',
        ),
    ],
    ids=['no weights', 'no ema', 'ema of mmengine', 'twice'],
)
def test_wrappers_without_weights(tmp_path, content, arguments, message):
    source = save(tmp_path / 'src.pth', content)
    assert f'{source}: {message}' in refuse(source, tmp_path / 'dst.pth', *arguments)


@pytest.mark.parametrize('theirs', ['torchvision', 'authors', 'mmpretrain'])
def test_pretrained_names_the_tool_for_a_foreign_checkpoint(tmp_path, narrow, theirs):
    if theirs == 'torchvision':
        weights, title = narrow, "torchvision's mobilenet_v2"
    elif theirs == 'authors':
        weights, title = draw('mbv2_ca')[0], "the CA authors' MobileNetV2 with coordinate attention"
    else:
        from mmpretrain.models.backbones import MobileNetV2 as TheirMobileNetV2

        state = TheirMobileNetV2().state_dict()
        weights = {f'backbone.{key}': value for key, value in state.items()}
        title = "mmpretrain's or mmseg's MobileNetV2"
    source = save(tmp_path / 'foreign.pth', {'state_dict': weights})
    backbone = MobileNetV2(CA, out_indices=(6,), pretrained=str(source))
    with pytest.raises(CheckpointError) as error:
        backbone.init_weights()
    command = '`python tools/convert_checkpoint.py SRC DST`'
    assert f'it has the names of {title}' in str(error.value)
    assert f'convert it first, {command}' in str(error.value)

    save(source, {'model': {f'module.{key}': value for key, value in weights.items()}})
    with pytest.raises(CheckpointError, match=f'it has the names of {title}') as error:
        load_backbone(backbone, source)
    assert command in str(error.value)


@pytest.mark.parametrize('scheme', SCHEMES, ids=lambda scheme: scheme.title)
def test_whatever_can_be_converted_is_named_without_building_it(scheme):
    backbone = build(scheme.architecture, attention=scheme.attention)
    ours = [f'backbone.{key}' for key in backbone.state_dict()]
    theirs = {key for name in ours if (key := scheme.from_ours(name))}
    assert foreign_names(theirs) == (None if scheme.name == 'mmca' else scheme.title)


@pytest.mark.slow
def test_training_from_a_foreign_checkpoint_names_the_tool(tiny_config, tmp_path, narrow):
    source = save(tmp_path / 'foreign.pth', narrow)
    options = ['--work-dir', tmp_path / 'run', '--cfg-options', f'load_from={source}']
    outcome = run_tool('train', tiny_config, *options)
    assert outcome.code == 1
    assert "it has the names of torchvision's mobilenet_v2" in outcome.output
    assert '`python tools/convert_checkpoint.py SRC DST`' in outcome.output


@pytest.mark.slow
def test_a_training_checkpoint_of_ours_is_converted_without_its_optimizer(trained, tmp_path):
    source, target = trained.work_dir / 'iter_12.pth', tmp_path / 'backbone.safetensors'
    missing = ['backbone.conv2', 'head']
    output = convert(source, target, '--drop', 'decode_head', *missing)
    assert "took 'state_dict', left meta, message_hub, optimizer, param_schedulers" in output
    load_backbone(MobileNetV2(CA, widen_factor=0.25, out_indices=(6,)), target)
