"""Weights are found in what training code wraps around them, and two networks never become one."""

import functools

import pytest
import torch
import torchvision
from mmengine.logging import MMLogger
from torch import nn

from helpers.tools import run_tool
from mmca.checkpoint import CheckpointError, load_backbone, load_file, state_dict_of, take_weights
from mmca.models.backbones import MobileNetV2

WRAPPERS = {
    'compiled': '_orig_mod.',
    'DDP': 'module.',
    'compiled, then DDP': 'module._orig_mod.',
    'DDP, then compiled': '_orig_mod.module.',
    'Lightning': 'model.',
    'Lightning, other attribute': 'net.',
    'Lightning of a compiled one': 'model._orig_mod.',
    'DDP of Lightning': 'module.model.',
    'nested Lightning': 'model.net.',
    'Fabric': '_forward_module.model.',
    'FSDP': '_fsdp_wrapped_module.',
}


def backbone_of(seed: int) -> MobileNetV2:
    torch.manual_seed(seed)
    return MobileNetV2(widen_factor=0.25, out_indices=(6,))


@pytest.fixture(scope='module')
def narrow() -> dict:
    """Weights of a narrow torchvision model."""
    torch.manual_seed(0)
    return torchvision.models.mobilenet_v2(num_classes=3, width_mult=0.25).state_dict()


def named(prefix: str, state: dict) -> dict:
    return {f'{prefix}{key}': value for key, value in state.items()}


@pytest.mark.parametrize('inside', ['', 'backbone.', 'backbone._orig_mod.', 'backbone.module.'])
@pytest.mark.parametrize('prefix', WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.input_fault(
    'Weights',
    'keys of torch.compile, DDP, Lightning and other wrappers',
    'their prefixes are taken off',
)
def test_prefixes_of_wrappers_are_taken_off(narrow, prefix, inside):
    head = {'head.fc.weight': torch.ones(2, 3)}
    state = named(f'{prefix}{inside}', narrow) | named(prefix, head) | {'criterion.a': narrow}
    found = state_dict_of({'state_dict': state, 'epoch': 3})
    assert found.keys() == {*named(inside and 'backbone.', narrow), *head}


@pytest.mark.parametrize('prefix', ['module._orig_mod.backbone.', 'model.net.', '_orig_mod.'])
def test_a_backbone_is_found_behind_prefixes(tmp_path, prefix):
    theirs, ours = backbone_of(1), backbone_of(2)
    torch.save({'state_dict': named(prefix, theirs.state_dict())}, tmp_path / 'wrapped.ckpt')
    load_backbone(ours, tmp_path / 'wrapped.ckpt')
    assert all(torch.equal(v, ours.state_dict()[k]) for k, v in theirs.state_dict().items())


@pytest.mark.parametrize('prefix', ['_orig_mod.', 'module.model._orig_mod.', 'net.module.'])
def test_a_model_is_converted_from_behind_prefixes(tmp_path, narrow, prefix):
    torch.save({'state_dict': named(prefix, narrow)}, tmp_path / 'wrapped.ckpt')
    arguments = [tmp_path / 'wrapped.ckpt', tmp_path / 'out.pth', '--to', 'torchvision']
    outcome = run_tool('convert_checkpoint', *arguments)
    assert outcome.code == 0, outcome.output
    back = load_file(tmp_path / 'out.pth')
    assert list(back) == list(narrow)
    assert all(torch.equal(back[key], narrow[key]) for key in narrow)


ENTRIES = ('state_dict', 'model', 'model_state_dict', 'model_state', 'net', 'module')


@pytest.mark.parametrize('entry', [*ENTRIES, 'ema_state_dict', 'model_ema', 'my_weights'])
def test_a_state_dict_is_found_in_its_entry(narrow, entry):
    content = {entry: named('module.', narrow), 'epoch': 3, 'optimizer': {'state': {}, 'lr': 0.1}}
    found, notes = take_weights(content, 'src.pth')
    assert list(found) == list(narrow)
    assert all(found[key] is narrow[key] for key in narrow)
    assert notes[0] == f'took {entry!r}, left epoch, optimizer'


def test_the_plain_weights_are_taken_and_the_averaged_ones_named(tmp_path, capsys):
    MMLogger._instance_dict.clear()
    MMLogger.get_instance('here', log_level='INFO')
    plain, average = backbone_of(1), backbone_of(2)
    content = {'model_state_dict': plain.state_dict(), 'ema_state_dict': average.state_dict()}
    torch.save(content, tmp_path / 'both.pth')
    ours = backbone_of(3)
    load_backbone(ours, tmp_path / 'both.pth')
    assert torch.equal(ours.conv1.conv.weight, plain.conv1.conv.weight)
    assert "there is an averaged copy, 'ema_state_dict', too" in capsys.readouterr().out


def test_an_average_of_torch_is_taken_without_its_counter(tmp_path):
    theirs, ours = backbone_of(1), backbone_of(2)
    average = torch.optim.swa_utils.AveragedModel(theirs)
    assert 'n_averaged' in average.state_dict()
    torch.save(average.state_dict(), tmp_path / 'swa.pth')
    load_backbone(ours, tmp_path / 'swa.pth')
    assert torch.equal(ours.conv1.conv.weight, theirs.conv1.conv.weight)


@pytest.mark.parametrize(
    'one, other',
    [
        ('module.', ''),
        ('model.', ''),
        ('model.', 'net.'),
        ('model.', 'module.'),
        ('_orig_mod.', 'model._orig_mod.'),
    ],
)
@pytest.mark.input_fault(
    'Weights',
    'two networks that would have equal keys without their prefixes',
    'refused',
)
def test_two_networks_that_would_become_one_are_refused(tmp_path, one, other):
    first, second = backbone_of(1).state_dict(), backbone_of(2).state_dict()
    path = tmp_path / 'two.pth'
    torch.save(named(f'{one}backbone.', first) | named(f'{other}backbone.', second), path)
    with pytest.raises(CheckpointError) as error:
        load_backbone(backbone_of(3), path)
    key = 'backbone.conv1.conv.weight'
    message = f'{path}: {key} is there twice, as {one}{key} and as {other}{key}: these are two'
    assert message in str(error.value) and 'by its prefix' in str(error.value)
    outcome = run_tool('convert_checkpoint', path, tmp_path / 'out.pth')
    assert outcome.code == 1 and f'Error: {message}' in outcome.output
    # As the message says; what is named is meant as it stands there.
    for prefix, state in ((one, first), (other, second)):
        ours = backbone_of(3)
        load_backbone(ours, path, f'{prefix}backbone')
        assert torch.equal(ours.conv1.conv.weight, state['conv1.conv.weight'])


def test_one_network_under_two_names_is_one(tmp_path):
    state = backbone_of(1).state_dict()
    torch.save(named('model.backbone.', state) | named('backbone.', state), tmp_path / 'twice.ckpt')
    ours = backbone_of(2)
    load_backbone(ours, tmp_path / 'twice.ckpt')
    assert torch.equal(ours.conv1.conv.weight, state['conv1.conv.weight'])


def test_one_of_several_networks_is_converted(tmp_path, narrow):
    other = {key: value + 1 for key, value in narrow.items()}
    torch.save(named('teacher.', narrow) | named('student.', other), tmp_path / 'several.pth')
    convert = functools.partial(run_tool, 'convert_checkpoint', tmp_path / 'several.pth')
    assert 'not recognised' in convert(tmp_path / 'out.pth').output
    message = "no key has the prefix 'pupil.'; those in the file are 'teacher.features.', "
    assert message in convert(tmp_path / 'out.pth', '--prefix', 'pupil').output
    outcome = convert(tmp_path / 'out.pth', '--prefix', 'student', '--to', 'torchvision')
    assert "took what is below 'student.'" in outcome.output
    back = load_file(tmp_path / 'out.pth')
    assert all(torch.equal(back[key], other[key]) for key in narrow)


def test_what_a_model_itself_calls_so_is_no_wrapper():
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Sequential()
            self.model.module = nn.Linear(2, 2)

    own = Holder().state_dict()
    assert list(state_dict_of(own, own=own)) == ['model.module.weight', 'model.module.bias']
    wrapped = named('_orig_mod.', own)
    assert list(state_dict_of(wrapped, own=own)) == ['model.module.weight', 'model.module.bias']
