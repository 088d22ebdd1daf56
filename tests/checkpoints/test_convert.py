"""Converted checkpoints give the outputs of the networks that they come from, and convert back."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from mmengine.config import Config

from helpers.golden import DATA, draw, draw_tensor
from helpers.tools import ROOT, run_tool
from mmca.checkpoint import load_backbone, load_file
from mmca.models import MobileNetV2, MobileNeXt
from mmca.version import __version__

CA = dict(type='mmca.CoordinateAttention', reduction=32)
GOLDEN = [
    ('mbv2_ca', 'mbv2ca_imagenet', "the CA authors' MobileNetV2"),
    ('mobilenext', 'mnext_imagenet', "the authors' MobileNeXt"),
]


def convert(*arguments: object) -> str:
    """Run the tool, and return what it said."""
    outcome = run_tool('convert_checkpoint', *arguments)
    assert outcome.code == 0, outcome.output
    return outcome.output


def save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def with_statistics(model: torch.nn.Module) -> torch.nn.Module:
    """Give batch norm something to do, and put the model into eval mode."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.num_batches_tracked.fill_(7)
    model.eval()  # mmseg's returns None
    return model


def classifier(config: str, classes: int = 1000, **options: object) -> torch.nn.Module:
    """The model of a config, with other options of its backbone."""
    from mmengine.registry import init_default_scope
    from mmpretrain.registry import MODELS

    import mmca.models.heads  # noqa: F401  as custom_imports does

    init_default_scope('mmpretrain')
    model = Config.fromfile(ROOT / 'configs' / f'{config}.py').model
    model.backbone.update(options)
    model.head.num_classes = classes
    return MODELS.build(model).eval()


def load_strictly(model: torch.nn.Module, path: Path) -> torch.nn.Module:
    model.load_state_dict(load_file(path)['state_dict'], strict=True)
    return model


def assert_identical(weights: dict, others: dict) -> None:
    assert list(weights) == list(others)
    for key, value in weights.items():
        assert others[key].dtype == value.dtype and torch.equal(others[key], value), key


def with_counters(weights: dict) -> dict:
    """As PyTorch writes a checkpoint since 0.4.1."""
    counted = {}
    for key, value in weights.items():
        counted[key] = value
        if key.endswith('running_var'):
            counted[key.replace('running_var', 'num_batches_tracked')] = torch.tensor(12345)
    return counted


@pytest.mark.parametrize('name, config, title', GOLDEN)
def test_equals_the_authors(tmp_path, name, config, title):
    weights, rng, shape = draw(name)
    x = draw_tensor(rng, shape, torch.float64)
    logits = torch.from_numpy(np.load(DATA / f'{name}.npz')['logits']).double()
    output = convert(save(tmp_path / 'authors.pth', weights), tmp_path / 'ours.pth')
    assert title in output and 'widen_factor=1.0' in output and '1000 classes' in output
    assert 'num_batches_tracked created as 0, the source has none' in output

    model = load_strictly(classifier(config), tmp_path / 'ours.pth')
    with torch.no_grad():
        torch.testing.assert_close(model(x.float()), logits.float(), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(model.double()(x), logits, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize('name, config, title', GOLDEN)
def test_round_trip_to_the_authors_is_exact(tmp_path, name, config, title):
    weights, _, _ = draw(name)
    counted = with_counters(weights)
    convert(save(tmp_path / 'authors.pth', counted), tmp_path / 'ours.pth')
    output = convert(tmp_path / 'ours.pth', tmp_path / 'back.pth', '--to', 'authors')
    assert f'with the names of {title}' in output
    assert_identical(counted, load_file(tmp_path / 'back.pth'))

    # What the source did not have comes back as the 0 that was created.
    convert(save(tmp_path / 'old.pth', weights), tmp_path / 'ours.pth', '--force')
    convert(tmp_path / 'ours.pth', tmp_path / 'back.pth', '--to', 'authors', '--force')
    back = load_file(tmp_path / 'back.pth')
    assert {back.pop(key).item() for key in counted if key not in weights} == {0}
    assert_identical(weights, back)


@pytest.mark.parametrize('width, classes', [(1.0, 1000), (0.5, 7), (0.75, 10), (1.4, 3)])
def test_equals_torchvision(tmp_path, width, classes):
    torch.manual_seed(0)
    theirs = with_statistics(torchvision.models.mobilenet_v2(num_classes=classes, width_mult=width))
    output = convert(save(tmp_path / 'tv.pth', theirs.state_dict()), tmp_path / 'ours.pth')
    assert f"torchvision's mobilenet_v2: mmca.MobileNetV2(widen_factor={width}," in output
    assert f'attention=None), {classes} classes' in output
    weights = load_file(tmp_path / 'ours.pth')
    assert weights['meta'] == dict(
        mmca_version=__version__, source='tv.pth', converted_from='torchvision'
    )

    x = torch.randn(2, 3, 97, 130)
    backbone = MobileNetV2(widen_factor=width).eval()
    load_backbone(backbone, tmp_path / 'ours.pth')
    with torch.no_grad():
        features = backbone(x)[0].mean((2, 3))
        head = [weights['state_dict'][f'head.fc.{name}'] for name in ('weight', 'bias')]
        torch.testing.assert_close(torch.nn.functional.linear(features, *head), theirs(x))

    convert(tmp_path / 'ours.pth', tmp_path / 'back.pth', '--to', 'torchvision')
    assert_identical(theirs.state_dict(), load_file(tmp_path / 'back.pth'))
    theirs.load_state_dict(load_file(tmp_path / 'back.pth'))  # as torchvision's users load it


def openmmlab_classifier(width: float = 1.0) -> torch.nn.Module:
    from mmengine.registry import init_default_scope
    from mmpretrain.registry import MODELS

    init_default_scope('mmpretrain')
    model = dict(
        type='ImageClassifier',
        backbone=dict(type='MobileNetV2', widen_factor=width),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', in_channels=1280, num_classes=5),
    )
    torch.manual_seed(0)
    return with_statistics(MODELS.build(model))


@pytest.mark.parametrize('width', [1.0, 0.5])
def test_equals_mmpretrain(tmp_path, width):
    theirs = openmmlab_classifier(width)
    source = save(tmp_path / 'mmpretrain.pth', {'state_dict': theirs.state_dict(), 'meta': {}})
    output = convert(source, tmp_path / 'ours.pth')
    assert "mmpretrain's or mmseg's MobileNetV2: mmca.MobileNetV2(" in output
    assert "took 'state_dict', left meta" in output
    model = classifier('mbv2_imagenet', classes=5, widen_factor=width)
    load_strictly(model, tmp_path / 'ours.pth')
    x = torch.randn(2, 3, 65, 96)
    with torch.no_grad():
        torch.testing.assert_close(model(x), theirs(x))


def test_a_segmentor_of_mmseg_serves_as_a_backbone(tmp_path):
    from mmseg.models.backbones import MobileNetV2 as TheirMobileNetV2

    torch.manual_seed(0)
    theirs = with_statistics(TheirMobileNetV2(out_indices=(6,)))
    state = {f'backbone.{key}': value for key, value in theirs.state_dict().items()}
    state['decode_head.conv_seg.weight'] = torch.zeros(19, 8, 1, 1)
    state['auxiliary_head.conv_seg.weight'] = torch.zeros(19, 8, 1, 1)
    arguments = save(tmp_path / 'mmseg.pth', {'state_dict': state}), tmp_path / 'ours.pth'
    refused = run_tool('convert_checkpoint', *arguments)
    remedy = 'backbone.conv2 head decode_head auxiliary_head'
    assert refused.code == 1 and f'--drop {remedy}' in refused.output

    output = convert(*arguments, '--drop', *remedy.split())
    assert 'dropped: 2 (decode_head.conv_seg, auxiliary_head.conv_seg)' in output
    assert 'did without: 7 (backbone.conv2, head.fc)' in output
    ours = MobileNetV2(out_indices=(6,)).eval()
    load_backbone(ours, tmp_path / 'ours.pth')
    x = torch.randn(1, 3, 65, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(x)[0], theirs(x))

    # The same weights as a bare backbone.
    bare = save(tmp_path / 'bare.pth', theirs.state_dict()), tmp_path / 'ours_too.pth'
    assert 'a bare backbone' in convert(*bare, '--drop', 'conv2', 'head')
    weights = load_file(tmp_path / 'ours.pth')['state_dict']
    assert_identical(weights, load_file(tmp_path / 'ours_too.pth')['state_dict'])


@pytest.mark.parametrize(
    'model, said',
    [
        (
            lambda: MobileNetV2(CA, widen_factor=0.5),
            "mmca's MobileNetV2, a bare backbone: mmca.MobileNetV2(widen_factor=0.5, attention="
            "{'type': 'mmca.CoordinateAttention', 'reduction': 32})",
        ),
        (lambda: MobileNetV2(dict(CA, reduction=16)), "'reduction': 16}"),
        (lambda: MobileNetV2(dict(CA, axes='h')), "'axes': 'h'}"),
        (
            lambda: MobileNetV2(dict(type='mmca.SqueezeExcitation', reduction=24)),
            "{'type': 'mmca.SqueezeExcitation', 'reduction': 24}",
        ),
        (
            lambda: MobileNetV2(dict(type='mmca.CBAM', reduction=24, kernel_size=5)),
            "{'type': 'mmca.CBAM', 'reduction': 24, 'kernel_size': 5}",
        ),
        (
            lambda: MobileNeXt(dict(CA, reduction=24), widen_factor=0.75),
            "mmca.MobileNeXt(widen_factor=0.75, attention={'type': 'mmca.CoordinateAttention', "
            "'reduction': 24}, attention_position='first')",
        ),
        (lambda: MobileNeXt(CA, attention_position='last'), "attention_position='last')"),
    ],
    ids=['narrow', 'reduction', 'one axis', 'se', 'cbam', 'mobilenext', 'last'],
)
def test_our_own_networks_are_recognised(tmp_path, model, said):
    weights = model().state_dict()
    output = convert(save(tmp_path / 'bare.pth', weights), tmp_path / 'whole.pth', '--drop', 'head')
    assert said in output and 'no classifier' in output
    whole = load_file(tmp_path / 'whole.pth')['state_dict']
    assert_identical({f'backbone.{key}': value for key, value in weights.items()}, whole)


@pytest.fixture(scope='module')
def narrow() -> dict:
    """Weights of a narrow torchvision model in half precision."""
    torch.manual_seed(0)
    model = torchvision.models.mobilenet_v2(num_classes=3, width_mult=0.25)
    return with_statistics(model).half().state_dict()


def renamed(weights: dict, prefix: str) -> dict:
    return {f'{prefix}{key}': value for key, value in weights.items()}


@pytest.mark.parametrize(
    'wrap, said',
    [
        (lambda w: renamed(w, 'module.'), ''),
        (lambda w: renamed(w, 'module.module.'), ''),
        (
            lambda w: dict(epoch=3, state_dict=renamed(w, 'module.'), optimizer={'lr': 0.1}),
            "took 'state_dict', left epoch, optimizer",
        ),
        (lambda w: {'model': {'state_dict': w}}, "took 'model'"),
        (lambda w: dict(model_ema=renamed(w, 'module.')), 'only the averaged copy is there'),
        (
            lambda w: dict(state_dict=w, state_dict_ema={'a': torch.ones(1)}),
            "there is an averaged copy, 'state_dict_ema', too: --ema takes it",
        ),
    ],
    ids=['module', 'module.module', 'tar', 'model', 'only ema', 'plain and ema'],
)
def test_wrappers_are_taken_off(tmp_path, narrow, wrap, said):
    source = save(tmp_path / 'wrapped.pth.tar', wrap(narrow))
    assert said in convert(source, tmp_path / 'out.pth.tar', '--to', 'torchvision')
    assert_identical(narrow, load_file(tmp_path / 'out.pth.tar'))


@pytest.mark.parametrize('name', ['state_dict_ema', 'model_ema', 'ema'])
def test_ema_takes_the_averaged_copy(tmp_path, narrow, name):
    average = {key: value + 1 for key, value in narrow.items()}
    source = save(tmp_path / 'both.pth', {'state_dict': narrow, name: average})
    output = convert(source, tmp_path / 'out.pth', '--ema', '--to', 'torchvision')
    assert f'took {name!r}, left state_dict' in output
    assert_identical(average, load_file(tmp_path / 'out.pth'))


def test_safetensors_both_ways(tmp_path, narrow):
    from safetensors import safe_open

    source = save(tmp_path / 'tv.pth', narrow)
    convert(source, tmp_path / 'ours.safetensors')
    with safe_open(tmp_path / 'ours.safetensors', 'pt') as file:
        assert file.metadata() == dict(
            format='pt',
            mmca_version=__version__,
            source='tv.pth',
            converted_from='torchvision',
        )
    backbone = MobileNetV2(widen_factor=0.25)
    load_backbone(backbone, tmp_path / 'ours.safetensors')
    assert torch.equal(backbone.conv1.bn.running_mean, narrow['features.0.1.running_mean'].float())

    convert(tmp_path / 'ours.safetensors', tmp_path / 'back.pth', '--to', 'torchvision')
    back = load_file(tmp_path / 'back.pth')
    assert_identical(narrow, back)
