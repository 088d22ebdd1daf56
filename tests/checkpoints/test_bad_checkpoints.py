"""A checkpoint that does not fit what it is loaded into is refused, and told why."""

import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from helpers.tools import build_model, run_tool, truncate
from mmca.checkpoint import CheckpointError, load_backbone, load_file
from mmca.models.backbones import MobileNetV2

CA = dict(type='mmca.CoordinateAttention', reduction=32)
SE = dict(type='mmca.SqueezeExcitation', reduction=24)


def small_backbone(attention: dict | None = CA, **options) -> MobileNetV2:
    options = {'widen_factor': 0.25, 'out_indices': (6,), **options}
    return MobileNetV2(attention=attention, **options)


def save_backbone(path: Path, backbone: MobileNetV2) -> Path:
    torch.save(backbone.state_dict(), path)
    return path


@pytest.mark.parametrize('given_as', ['pretrained', 'init_cfg'])
@pytest.mark.parametrize(
    ('theirs', 'reason'),
    [
        (
            dict(attention=SE),
            'it was trained with SqueezeExcitation, the model has CoordinateAttention',
        ),
        (
            dict(attention=None),
            'it was trained with no attention, the model has CoordinateAttention',
        ),
        (dict(widen_factor=0.5), 'its width differs (stem of 16 and 8 channels)'),
        (
            dict(attention=dict(CA, reduction=8)),
            'layer4.1.attention.conv_w.weight is (96, 12, 1, 1) in the checkpoint, (96, 8',
        ),
    ],
    ids=['another attention', 'no attention', 'another width', 'another reduction'],
)
@pytest.mark.input_fault(
    'Weights',
    'a backbone of another attention, width or architecture',
    'refused',
)
def test_a_backbone_checkpoint_that_does_not_fit_is_refused(tmp_path, given_as, theirs, reason):
    path = save_backbone(tmp_path / 'other.pth', small_backbone(**theirs))
    if given_as == 'pretrained':
        backbone = small_backbone(pretrained=str(path))
    else:
        backbone = small_backbone(init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    with pytest.raises(CheckpointError) as error:
        backbone.init_weights()
    assert f'Checkpoint {path} does not fit the model' in str(error.value)
    assert reason in str(error.value)
    assert 'Give one that was pretrained with the same attention and width' in str(error.value)


@pytest.mark.input_fault(
    'Weights',
    'weights that are NaN',
    'refused, with the first tensor',
)
def test_weights_that_are_nan_are_refused(tmp_path):
    backbone = small_backbone()
    with torch.no_grad():
        backbone.layer2[0].depthwise_conv.conv.weight[0] = float('nan')
    path = save_backbone(tmp_path / 'broken.pth', backbone)
    with pytest.raises(CheckpointError) as error:
        small_backbone(pretrained=str(path)).init_weights()
    assert '1 of its ' in str(error.value) and 'tensors hold NaN, first layer2.0.' in str(
        error.value
    )
    assert 'take an earlier checkpoint' in str(error.value)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    torch.save({'state_dict': torch.nn.Linear(3, 3).state_dict()}, tmp_path / 'linear.pth')
    with pytest.raises(CheckpointError, match='no key in common'):
        load_backbone(small_backbone(), tmp_path / 'linear.pth')
    torch.save({'epoch': 3, 'best': 0.5}, tmp_path / 'empty.pth')
    with pytest.raises(CheckpointError, match='empty.pth: holds no weights, its entries are epoch'):
        load_backbone(small_backbone(), tmp_path / 'empty.pth')


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_a_classification_checkpoint_loads_and_says_what_it_left(tmp_path, capsys, prefix):
    from mmengine.logging import MMLogger

    theirs = small_backbone(out_indices=(7,))
    state = {f'{prefix}backbone.{key}': value for key, value in theirs.state_dict().items()}
    state[f'{prefix}head.fc.weight'] = torch.zeros(10, 1280)
    state[f'{prefix}head.fc.bias'] = torch.zeros(10)
    torch.save({'state_dict': state, 'meta': {}}, tmp_path / 'classifier.pth')

    backbone = small_backbone(pretrained=str(tmp_path / 'classifier.pth'))
    MMLogger._instance_dict.clear()
    MMLogger.get_instance('here', log_level='INFO')
    backbone.init_weights()
    wanted = backbone.state_dict()
    assert all(torch.equal(wanted[key], theirs.state_dict()[key]) for key in wanted)
    message = f'Loaded {len(wanted)} tensors of the backbone from {tmp_path}/classifier.pth'
    # conv2: weight, batch norm's five; head: weight and bias
    assert f'{message}; left 8 (conv2, head).' in capsys.readouterr().out


@pytest.fixture(scope='module')
def se_checkpoint(tiny_config, tmp_path_factory) -> Path:
    """A checkpoint of the tiny model with squeeze-excitation in place of CA."""
    model = Config.fromfile(tiny_config).model
    model.backbone.attention = SE
    path = tmp_path_factory.mktemp('se') / 'se.pth'
    torch.save({'state_dict': build_model(model).state_dict(), 'meta': {}}, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize('arguments', [[], ['--tta']], ids=['single scale', 'tta'])
def test_testing_with_a_checkpoint_of_another_attention_is_refused(
    tiny_config, se_checkpoint, tmp_path, arguments
):
    arguments = [*arguments, '--work-dir', tmp_path, '--out', tmp_path / 'out.json']
    outcome = run_tool('test', tiny_config, se_checkpoint, *arguments)
    assert outcome.code == 1
    start = f'Error: Checkpoint {se_checkpoint} does not fit the model: it was trained with '
    assert start in outcome.output
    assert 'SqueezeExcitation, the model has CoordinateAttention' in outcome.output
    assert 'Use the config it was trained with' in outcome.output
    assert 'Traceback' not in outcome.output
    assert not (tmp_path / 'out.json').exists()


@pytest.mark.slow
@pytest.mark.parametrize('name', ['gone.pth', 'torn.pth'])
def test_testing_with_an_unreadable_checkpoint_is_refused(tiny_config, trained, tmp_path, name):
    shutil.copy(trained.work_dir / 'iter_12.pth', tmp_path / 'torn.pth')
    truncate(tmp_path / 'torn.pth')
    outcome = run_tool('test', tiny_config, tmp_path / name, '--work-dir', tmp_path / 'work')
    assert outcome.code == 1
    assert f'Error: {tmp_path / name}: no' in outcome.output
    assert 'Traceback' not in outcome.output


@pytest.mark.slow
@pytest.mark.input_fault(
    'Weights',
    '`load_from` with another number of classes',
    'refused until `ignore_keys` names the layer',
)
def test_fine_tuning_on_other_classes_has_to_be_said(tiny_config, trained, tmp_path):
    best = trained.work_dir / 'best_mIoU_iter_12.pth'
    settings = [
        f'load_from={best}',
        'model.decode_head.num_classes=30',
        'checks.class_numbers=False',  # of which the data has 21
        'train_cfg.max_iters=1',
        'optim_wrapper.optimizer.lr=0.0',
    ]
    arguments = [tiny_config, '--cfg-options', *settings]
    outcome = run_tool('train', *arguments, '--work-dir', tmp_path / 'refused')
    assert outcome.code == 1
    assert 'decode_head.conv_seg.weight is (21, 16, 1, 1) in the checkpoint, (30,' in outcome.output
    remedy = "default_hooks.checkpoint.ignore_keys=['decode_head.conv_seg']"
    assert remedy in outcome.output

    # As the message says.
    outcome = run_tool('train', *arguments, remedy, '--work-dir', tmp_path / 'tuned')
    assert outcome.code == 0, outcome.output
    tuned = load_file(tmp_path / 'tuned' / 'iter_1.pth')['state_dict']
    weights = load_file(best)['state_dict']
    taken = [key for key in weights if not key.startswith('decode_head.conv_seg')]
    # Batch norm's statistics move even at a learning rate of 0.
    taken = [key for key in taken if 'running' not in key and 'num_batches' not in key]
    assert len(taken) > 200
    assert all(torch.equal(tuned[key], weights[key]) for key in taken)
    assert tuned['decode_head.conv_seg.weight'].shape == (30, 16, 1, 1)


@pytest.mark.input_fault(
    'Weights',
    'bare weights without the entry `state_dict`, and an `EMAHook`',
    'loaded into the network and its average',
)
def test_bare_weights_start_a_training_with_an_average(tiny_config, trained, tmp_path):
    weights = load_file(trained.work_dir / 'best_mIoU_iter_12.pth')['state_dict']
    torch.save(weights, tmp_path / 'bare.pth')
    settings = (
        f'load_from={tmp_path}/bare.pth',
        'train_cfg.max_iters=1',
        'optim_wrapper.optimizer.lr=0.0',
    )
    config = tmp_path / 'averaging.py'
    config.write_text(f"_base_ = {str(tiny_config)!r}\ncustom_hooks = [dict(type='EMAHook')]\n")
    work_dir = tmp_path / 'work'
    outcome = run_tool('train', config, '--cfg-options', *settings, '--work-dir', work_dir)
    assert outcome.code == 0, outcome.output
    averaged = load_file(work_dir / 'iter_1.pth')['ema_state_dict']
    key = 'decode_head.conv_seg.weight'
    assert torch.equal(averaged[f'module.{key}'], weights[key])
    torch.save({'epoch': 3}, tmp_path / 'bare.pth')
    outcome = run_tool('train', config, '--cfg-options', *settings, '--work-dir', tmp_path / 'none')
    assert outcome.code == 1 and 'holds no weights, its entries are' in outcome.output
