"""What ``init_cfg`` and ``pretrained`` name is loaded in full, from where they say, or refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model.weight_init import PretrainedInit

from helpers.interruption import differing, weights_of
from helpers.tools import run_tool
from mmca.checkpoint import CheckpointError, load_backbone, load_file, require_match
from mmca.models.backbones import MobileNetV2, MobileNeXt

CA = dict(type='mmca.CoordinateAttention', reduction=32)


def small_backbone(seed: int = 0, cls: type = MobileNetV2, **options) -> torch.nn.Module:
    """A backbone whose weights differ from those of another seed."""
    torch.manual_seed(seed)
    return cls(**{'attention': CA, 'widen_factor': 0.25, 'out_indices': (6,), **options})


def named(prefix: str, backbone: torch.nn.Module) -> dict:
    return {f'{prefix}{key}': value for key, value in backbone.state_dict().items()}


def save(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


def initialised(checkpoint: str, **options) -> torch.nn.Module:
    """A backbone of another seed after ``init_weights``, its ``init_cfg`` in the dict form."""
    entry = dict(type='Pretrained', checkpoint=checkpoint, **options)
    backbone = small_backbone(9, init_cfg=entry)
    backbone.init_weights()
    return backbone


def assert_same(backbone: torch.nn.Module, other: torch.nn.Module) -> None:
    weights, others = backbone.state_dict(), other.state_dict()
    assert list(weights) == list(others)
    assert all(torch.equal(weights[key], others[key]) for key in weights)


@pytest.fixture(scope='module')
def networks() -> dict[str, torch.nn.Module]:
    """Four networks that differ in nothing but their values."""
    names = ('backbone.', 'teacher.backbone.', 'backbone_ema.', 'teacher.backbone.inner.')
    return {name: small_backbone(seed) for seed, name in enumerate(names)}


@pytest.mark.parametrize('dot', ['', '.'])
@pytest.mark.parametrize(
    'wrap',
    [dict, lambda state: {'state_dict': state, 'meta': {}}, lambda state: {'model': state}],
    ids=['bare', 'state_dict', 'model'],
)
@pytest.mark.parametrize('prefix', ['teacher.backbone', 'backbone_ema', 'backbone'])
@pytest.mark.input_fault(
    'Weights',
    '`prefix` of one of several networks in a file',
    'the network below exactly this prefix',
)
def test_a_prefix_takes_the_network_below_it(tmp_path, networks, prefix, wrap, dot):
    places = ('backbone.', 'teacher.backbone.', 'backbone_ema.')
    state = {k: v for place in places for k, v in named(place, networks[place]).items()}
    path = save(tmp_path / 'several.pth', wrap(state))
    assert_same(initialised(path, prefix=f'{prefix}{dot}'), networks[f'{prefix}.'])


@pytest.mark.input_fault(
    'Weights',
    'a network below the `prefix` that fits only in part',
    'refused',
)
def test_what_is_below_a_prefix_has_to_fit_in_full(tmp_path, networks):
    state = {k: v for name, net in networks.items() for k, v in named(name, net).items()}
    path = save(tmp_path / 'several.pth', state)
    with pytest.raises(CheckpointError, match=r"below 'teacher.backbone.inner.'|unexpected: inner"):
        initialised(path, prefix='teacher.backbone')
    inner = networks['teacher.backbone.inner.']
    assert_same(initialised(path, prefix='teacher.backbone.inner.'), inner)


@pytest.mark.parametrize('prefix', ['techer.backbone.', 'back', 'teacher.backbone.conv', 'bone.'])
@pytest.mark.input_fault(
    'Weights',
    'a `prefix` that no key has',
    'refused, those of the file named',
)
def test_a_prefix_that_no_key_has_is_refused_and_those_of_the_file_named(
    tmp_path, networks, prefix
):
    state = named('backbone.', networks['backbone.'])
    state |= named('teacher.backbone.', networks['teacher.backbone.'])
    state |= {'teacher.head.fc.weight': torch.ones(2, 2), 'teacher.head.fc.bias': torch.ones(2)}
    path = save(tmp_path / 'several.pth', state)
    with pytest.raises(CheckpointError) as error:
        initialised(path, prefix=prefix)
    message = f'{path}: no key has the prefix {prefix.rstrip(".") + "."!r}; those in the file are '
    assert message + "'backbone.', 'teacher.backbone.', 'teacher.head.fc.'" in str(error.value)


@pytest.mark.parametrize(
    'wrapped, prefix',
    [
        ('module.teacher.backbone.', 'teacher.backbone'),
        ('teacher._orig_mod.backbone.', 'teacher.backbone.'),
        ('model.module.teacher.backbone._orig_mod.', 'teacher.backbone'),
        ('model.backbone.', 'model.backbone'),
        ('teacher.backbone.', 'teacher'),
    ],
)
def test_a_prefix_and_wrappers(tmp_path, networks, wrapped, prefix):
    state = named(wrapped, networks['teacher.backbone.']) | named('other.', networks['backbone.'])
    path = save(tmp_path / 'wrapped.pth', {'state_dict': state})
    assert_same(initialised(path, prefix=prefix), networks['teacher.backbone.'])


def test_entries_of_a_file_are_prefixes_where_there_are_several(tmp_path, networks):
    teacher, student = networks['teacher.backbone.'], networks['backbone.']
    content = dict(teacher=named('backbone.', teacher), student=named('module.', student), epoch=3)
    path = save(tmp_path / 'entries.pth', content)
    assert_same(initialised(path, prefix='teacher.backbone.'), teacher)
    assert_same(initialised(path, prefix='student'), student)
    with pytest.raises(CheckpointError, match="below 'student.' and 'teacher.backbone.'"):
        load_backbone(small_backbone(), path)


@pytest.mark.parametrize('places', [('teacher.backbone.', 'student.backbone.'), ('encoder_q.',)])
@pytest.mark.input_fault(
    'Weights',
    'several networks that fit, no `prefix`',
    'refused, the prefixes to choose from named',
)
def test_without_a_prefix_no_network_is_guessed(tmp_path, networks, places):
    state = {k: v for place in places for k, v in named(place, networks['backbone.']).items()}
    path = save(tmp_path / 'several.pth', {'state_dict': state})
    for load in (initialised, lambda path: load_backbone(small_backbone(), path)):
        with pytest.raises(CheckpointError) as error:
            load(path)
        where = ' and '.join(repr(place) for place in sorted(places))
        assert f'{path}: has weights of this MobileNetV2 below {where}.' in str(error.value)
        remedy = f"init_cfg=dict(type='Pretrained', checkpoint={path!r}, prefix={places[0]!r})"
        assert remedy in str(error.value)
    assert_same(initialised(path, prefix=places[0]), networks['backbone.'])


def test_the_backbone_of_the_model_itself_is_meant_without_a_prefix(tmp_path, networks):
    state = named('teacher.backbone.', networks['teacher.backbone.'])
    state |= named('backbone.', networks['backbone.'])
    path = save(tmp_path / 'distilled.pth', {'state_dict': state})
    assert_same(initialised(path), networks['backbone.'])
    # At the top there would be another one.
    path = save(tmp_path / 'two.pth', state | named('', networks['teacher.backbone.']))
    with pytest.raises(CheckpointError, match="below the top and 'backbone.' and 'teacher"):
        initialised(path)


KAIMING = dict(type='Kaiming', layer='Conv2d')


@pytest.mark.parametrize(
    'form',
    [
        lambda entry: entry,
        lambda entry: [entry],
        lambda entry: [entry, KAIMING],
        lambda entry: [KAIMING, entry, dict(type='Constant', layer='BatchNorm2d', val=3)],
        lambda entry: ConfigDict(entry),
        lambda entry: [dict(entry, type=PretrainedInit)],
        lambda entry: dict(entry, type='mmengine.Pretrained', map_location='cuda:0'),
        lambda entry: dict(entry, type='mmengine.model.weight_init.PretrainedInit'),
    ],
    ids=['dict', 'list', 'first', 'mixed', 'ConfigDict', 'class', 'scoped', 'path'],
)
@pytest.mark.input_fault(
    'Weights',
    '`init_cfg` as a list, or with a type that is a class or has a scope',
    'loaded as strictly as the dict',
)
def test_all_forms_of_init_cfg_load_strictly(tmp_path, networks, form):
    theirs = networks['backbone.']
    good = dict(type='Pretrained', checkpoint=save(tmp_path / 'good.pth', theirs.state_dict()))
    backbone = small_backbone(9, init_cfg=form(good))
    backbone.init_weights()
    assert_same(backbone, theirs)

    state = theirs.state_dict()
    del state['layer3.0.attention.conv_h.weight']
    bad = dict(type='Pretrained', checkpoint=save(tmp_path / 'bad.pth', state))
    backbone = small_backbone(9, init_cfg=form(bad))
    with pytest.raises(CheckpointError, match='1 tensors differ(.|\n)*missing: layer3.0.attention'):
        backbone.init_weights()


@pytest.mark.parametrize(
    'options, message',
    [
        (
            dict(init_cfg=[dict(type='Pretrained', checkpoint='a.pth')] * 2),
            'two checkpoints, of which one would replace the other, are named: .*keep one',
        ),
        (
            dict(init_cfg=dict(type='Pretrained', checkpoint='a.pth'), pretrained='b.pth'),
            r"are named: b.pth and Pretrained\(checkpoint='a.pth'\); keep one",
        ),
        (dict(init_cfg=dict(type='Pretrained')), "needs checkpoint='FILE'"),
        (dict(init_cfg=dict(type='Pretrained', checkpoint=None)), "needs checkpoint='FILE'"),
        (
            dict(init_cfg=dict(type='Pretrained', checkpoint='a.pth', prefx='backbone')),
            r"prefx='backbone'\): its options are checkpoint, prefix",
        ),
        (dict(init_cfg=[dict(checkpoint='a.pth')]), 'is not a dict with a type'),
    ],
    ids=['twice', 'both', 'no checkpoint', 'None', 'a typo', 'no type'],
)
def test_other_options_are_refused(options, message):
    with pytest.raises(CheckpointError, match=message):
        small_backbone(**options)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_keep_the_models(tmp_path, networks, dtype):
    state = {
        key: value.to(dtype) if value.is_floating_point() else value
        for key, value in networks['backbone.'].state_dict().items()
    }
    backbone = initialised(save(tmp_path / 'other.pth', state))
    weights = backbone.state_dict()
    assert all(torch.equal(weights[k], v.to(weights[k].dtype)) for k, v in state.items())
    assert weights['conv1.conv.weight'].dtype == torch.float32


def test_mobilenext_too(tmp_path):
    theirs = small_backbone(1, MobileNeXt, out_indices=(7,))
    path = save(tmp_path / 'several.pth', named('t.', theirs) | named('s.', small_backbone(2)))
    entry = [dict(type='Pretrained', checkpoint=path, prefix='t')]
    backbone = small_backbone(9, MobileNeXt, out_indices=(7,), init_cfg=entry)
    backbone.init_weights()
    assert_same(backbone, theirs)


def without_file(*arguments: object) -> list:
    return [*arguments, '--cfg-options', 'model.backbone.pretrained=gone.pth']


@pytest.mark.slow
@pytest.mark.input_fault(
    'Interrupted runs',
    '`--resume` where the pretrained file is gone',
    'goes on without it',
)
def test_a_resumed_training_does_not_ask_for_the_file(tiny_config, trained, tmp_path):
    (tmp_path / 'run').mkdir()
    shutil.copy(trained.work_dir / 'iter_8.pth', tmp_path / 'run')
    arguments = [tiny_config, '--work-dir', tmp_path / 'run']
    outcome = run_tool('train', *without_file(*arguments, '--resume'))
    assert outcome.code == 0, outcome.output
    assert not differing(
        weights_of(tmp_path / 'run', 'iter_12.pth'), weights_of(trained.work_dir, 'iter_12.pth')
    )

    outcome = run_tool('train', *without_file(tiny_config, '--work-dir', tmp_path / 'new'))
    assert outcome.code == 1 and 'Error: gone.pth: no such checkpoint' in outcome.output
    assert 'Traceback' not in outcome.output


@pytest.mark.slow
def test_a_test_does_not_ask_for_the_file(tiny_config, trained, tmp_path):
    arguments = [tiny_config, trained.work_dir / 'iter_12.pth', '--work-dir', tmp_path]
    outcome = run_tool('test', *without_file(*arguments))
    assert outcome.code == 0, outcome.output


@pytest.mark.slow
@pytest.mark.parametrize(
    'entry, prefix, averaged',
    [
        ('state_dict', 'model._orig_mod.', False),
        ('model_state_dict', 'module.', False),
        ('state_dict', '_orig_mod.', True),
    ],
)
def test_a_wrapped_model_is_tested_as_it_is(
    tiny_config, trained, tmp_path, entry, prefix, averaged
):
    """Also where mmengine's hook keeps an average, which looks into the file by itself."""
    weights = load_file(trained.work_dir / 'iter_12.pth')['state_dict']
    content = {entry: {f'{prefix}{key}': value for key, value in weights.items()}, 'meta': {}}
    path = save(tmp_path / 'wrapped.pth', content)
    config = tmp_path / 'config.py'
    hooks = [dict(type='EMAHook')] if averaged else []
    config.write_text(f'_base_ = {str(tiny_config)!r}\ncustom_hooks = {hooks}\n')
    metrics = []
    for checkpoint in (path, trained.work_dir / 'iter_12.pth'):
        out = tmp_path / 'out.json'
        arguments = [config, checkpoint, '--work-dir', tmp_path / 'run', '--out', out]
        outcome = run_tool('test', *arguments)
        assert outcome.code == 0, outcome.output
        metrics.append(json.loads(out.read_text()))
    assert metrics[0] == metrics[1] and metrics[0]['mIoU'] > 0


def test_a_model_below_a_prefix_is_named(tmp_path, networks):
    state = named('student.', networks['backbone.']) | named('teacher.', networks['backbone_ema.'])
    with pytest.raises(CheckpointError, match="is below 'student.' and 'teacher.', take it out"):
        require_match(state, networks['backbone.'], source='The checkpoint', remedy='')
