"""``init_cfg`` of whole models, heads and necks loads everything or nothing, in all libraries."""

import importlib
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model.weight_init import PretrainedInit
from mmengine.registry import init_default_scope
from torch import nn

from helpers.tools import ROOT
from mmca.checkpoint import CheckpointError, prepare_pretrained

CONFIGS = {
    'mmseg': ('deeplabv3_mbv2ca_sample', 'decode_head'),
    'mmdet': ('ssdlite320_mbv2ca_coco', 'bbox_head'),
    'mmpretrain': ('mbv2ca_cifar10', 'head'),
}


def build(library: str, seed: int, part: str | None = None, **options) -> nn.Module:
    """A narrow model; ``options`` are the model's, or those of a part of it."""
    cfg = Config.fromfile(ROOT / 'configs' / f'{CONFIGS[library][0]}.py')
    for module in cfg.custom_imports.imports:
        importlib.import_module(module)
    init_default_scope(library)
    (cfg.model[part] if part else cfg.model).update(options)
    torch.manual_seed(seed)
    return importlib.import_module(f'{library}.registry').MODELS.build(cfg.model)


def save(path: Path, content: dict) -> str:
    torch.save(content, path)
    return str(path)


def pretrained(path: str, **options) -> dict:
    return dict(type='Pretrained', checkpoint=path, **options)


def assert_same(module: nn.Module, weights: dict, prefix: str = '') -> None:
    own = module.state_dict(prefix=prefix)
    assert all(torch.equal(value, weights[key]) for key, value in own.items())


@pytest.mark.slow
@pytest.mark.parametrize('library', CONFIGS)
def test_a_whole_model(tmp_path, library):
    weights = build(library, 1).state_dict()
    wrapped = {f'student.module.{key}': value for key, value in weights.items()}
    path = save(tmp_path / 'model.pth', {'state_dict': wrapped})
    model = build(library, 2, init_cfg=[pretrained(path, prefix='student')])
    model.init_weights()
    assert_same(model, weights)

    part = CONFIGS[library][1]
    lost = next(key for key in weights if key.startswith(part))
    path = save(tmp_path / 'partial.pth', {k: v for k, v in weights.items() if k != lost})
    model = build(library, 2, init_cfg=pretrained(path))
    with pytest.raises(CheckpointError) as error:
        model.init_weights()
    message = str(error.value)
    assert (
        f'init_cfg of {type(model).__name__}: checkpoint {path} does not fit the model' in message
    )
    assert f'1 tensors differ. It must have all tensors of the {type(model).__name__}' in message
    assert 'set model.backbone.pretrained' in message and f'missing: {lost}' in message


@pytest.mark.parametrize('library', CONFIGS)
def test_a_head(tmp_path, library):
    weights, part = build(library, 1).state_dict(), CONFIGS[library][1]
    path = save(tmp_path / 'model.pth', {'state_dict': weights})
    model = build(library, 2, part, init_cfg=pretrained(path, prefix=part))
    model.init_weights()
    assert_same(getattr(model, part), weights, f'{part}.')

    model = build(library, 2, part, init_cfg=pretrained(path))
    with pytest.raises(CheckpointError, match=f"below '{part}.'. Say which .*prefix='{part}.'"):
        model.init_weights()


def test_a_neck(tmp_path):
    weights = build('mmdet', 1).state_dict()
    path = save(tmp_path / 'model.pth', weights)
    model = build('mmdet', 2, 'neck', init_cfg=pretrained(path, prefix='neck.'))
    model.init_weights()
    assert_same(model.neck, weights, 'neck.')


def test_pretrained_of_mmpretrains_classifiers(tmp_path):
    weights = build('mmpretrain', 1).state_dict()
    model = build('mmpretrain', 2, pretrained=save(tmp_path / 'model.pth', weights))
    model.init_weights()
    assert_same(model, weights)
    del weights['head.fc.bias']
    model = build('mmpretrain', 2, pretrained=save(tmp_path / 'partial.pth', weights))
    with pytest.raises(CheckpointError, match=r'missing: head\.fc\.bias'):
        model.init_weights()


@pytest.mark.parametrize('kind', [PretrainedInit, 'mmengine.Pretrained'], ids=['class', 'scoped'])
def test_other_spellings_are_strict_in_a_training(tmp_path, kind):
    weights = build('mmpretrain', 1).state_dict()
    entry = dict(type=kind, checkpoint=save(tmp_path / 'model.pth', weights))
    model = build('mmpretrain', 2, init_cfg=entry)
    prepare_pretrained(model, resumed=False)
    model.init_weights()
    assert_same(model, weights)
    del weights['head.fc.bias']
    save(tmp_path / 'model.pth', weights)
    model = build('mmpretrain', 2, init_cfg=entry)
    prepare_pretrained(model, resumed=False)
    with pytest.raises(CheckpointError, match=r'missing: head\.fc\.bias'):
        model.init_weights()


@pytest.mark.parametrize('part', [None, 'backbone', 'head'])
def test_a_resumed_run_needs_no_file(part):
    options = dict(init_cfg=[pretrained('gone.pth'), dict(type='Kaiming', layer='Conv2d')])
    model = build('mmpretrain', 1, part, **options)
    prepare_pretrained(model, resumed=True)
    model.init_weights()
    model = build('mmpretrain', 1, part, **options)
    prepare_pretrained(model, resumed=False)
    with pytest.raises(CheckpointError, match='gone.pth: no such checkpoint'):
        model.init_weights()


def test_others_load_as_their_library_does(tmp_path):
    """A ResNet's ImageNet weights lack the attention that it has as a plugin."""
    from mmdet.registry import MODELS

    init_default_scope('mmdet')
    plugin = dict(cfg=dict(type='mmca.CoordinateAttention'), position='after_conv2')
    plain = MODELS.build(dict(type='ResNet', depth=50, base_channels=8)).state_dict()
    path = save(tmp_path / 'resnet.pth', plain)
    options = dict(plugins=[dict(plugin, stages=(True,) * 4)], init_cfg=pretrained(path))
    resnet = MODELS.build(dict(type='ResNet', depth=50, base_channels=8, **options))
    resnet.init_weights()
    assert torch.equal(resnet.conv1.weight, plain['conv1.weight'])


@pytest.mark.parametrize('kind', [PretrainedInit, 'Pretrained'], ids=['class', 'name'])
@pytest.mark.input_fault(
    'Weights',
    '`Pretrained` within the `override` of an `init_cfg`',
    'loaded as strictly, and not initialised over',
)
def test_an_override_is_strict_and_stays(tmp_path, kind):
    weights = build('mmdet', 1).state_dict()
    path = save(tmp_path / 'model.pth', weights)

    def override(prefix: str) -> dict:
        part = dict(type=kind, name='neck', checkpoint=path, prefix=prefix)
        return dict(type='Normal', layer='Conv2d', std=0.5, override=part)

    model = build('mmdet', 2, init_cfg=override('neck.'))
    prepare_pretrained(model, resumed=False)
    model.init_weights()
    assert_same(model.neck, weights, 'neck.')
    model = build('mmdet', 2, init_cfg=override('bbox_head.'))
    prepare_pretrained(model, resumed=False)
    with pytest.raises(CheckpointError, match='does not fit'):
        model.init_weights()
    model = build('mmdet', 2, init_cfg=override('neck.'))
    Path(path).unlink()
    prepare_pretrained(model, resumed=True)
    model.init_weights()
