"""Classification from the tools' side: interrupted training, and on to segmentation."""

import pytest

from helpers.interruption import differing, run_killed, weights_of, workers
from helpers.tools import ROOT, run_tool
from mmca.checkpoint import load_file
from mmca.sampledata import SampleSettings, generate

# A quarter of the width and random crops: dropout, order and augmentation are in play.
CONFIG = """\
_base_ = {base!r}
model = dict(backbone=dict(widen_factor=0.25))
data_root = {data_root!r}
train_dataloader = dict(
    batch_size=10,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        pipeline=[
            dict(type='mmca.SeedAugmentation'),
            dict(type='mmca.LoadImageFromFile'),
            dict(type='RandomResizedCrop', scale=64, backend='pillow'),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ],
    ),
)
val_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root)
)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=3, val_interval=1)
"""


@pytest.fixture(scope='module')
def classification(tmp_path_factory):
    """A config that trains three epochs of four iterations."""
    folder = tmp_path_factory.mktemp('classification')
    generate(SampleSettings(train=40, val=20, size=64), folder / 'sample', 'imagenet')
    config = folder / 'config.py'
    base = str(ROOT / 'configs/mbv2ca_sample.py')
    config.write_text(CONFIG.format(base=base, data_root=str(folder / 'sample')))
    return config


@pytest.mark.slow
def test_killed_and_resumed_ends_with_the_weights_of_an_uninterrupted_run(classification, tmp_path):
    def command(work_dir, num_workers):
        options = ['--cfg-options', *workers(num_workers)]
        return [classification, '--work-dir', work_dir, *options]

    whole = tmp_path / 'whole'
    outcome = run_tool('train', *command(whole, 0))
    assert outcome.code == 0, outcome.output

    killed, train = tmp_path / 'killed', ROOT / 'tools/train.py'
    run_killed('writing', killed, 'epoch_2.pth', train, *command(killed, 1))
    outcome = run_tool('train', *command(killed, 0), '--resume')
    assert outcome.code == 0, outcome.output
    assert 'resumed epoch: 1, iter: 4' in outcome.output

    last = 'epoch_3.pth'
    assert differing(weights_of(whole, last), weights_of(killed, last)) == []
    # The comparison is not an empty one.
    assert len(differing(weights_of(whole, last), weights_of(whole, 'epoch_2.pth'))) > 200


@pytest.mark.slow
def test_pretrain_convert_and_finetune(classification, tiny_config, tmp_path):
    """Classification, the authors' names and back, DeepLabV3: every weight arrives."""
    outcome = run_tool('train', classification, '--work-dir', tmp_path / 'pretrained')
    assert outcome.code == 0, outcome.output
    trained = tmp_path / 'pretrained/epoch_3.pth'
    authors, ours = tmp_path / 'mbv2_ca.pth', tmp_path / 'mmca.pth'
    for arguments in ((trained, authors, '--to', 'authors'), (authors, ours)):
        outcome = run_tool('convert_checkpoint', *arguments)
        assert outcome.code == 0, outcome.output
    assert differing(load_file(ours)['state_dict'], load_file(trained)['state_dict']) == []

    outcome = run_tool(
        'train',
        tiny_config,
        '--work-dir',
        tmp_path / 'finetuned',
        '--cfg-options',
        f'model.backbone.pretrained={ours}',
        'optim_wrapper.optimizer.lr=0.0',
        'train_cfg.max_iters=4',
    )
    assert outcome.code == 0, outcome.output
    backbone = {k: v for k, v in load_file(ours)['state_dict'].items() if 'backbone' in k}
    taken = {k: v for k, v in backbone.items() if '.conv2.' not in k}
    left = len(backbone) - len(taken) + 2
    assert f'Loaded {len(taken)} tensors of the backbone from {ours}; left {left}' in outcome.output
    finetuned = load_file(tmp_path / 'finetuned/iter_4.pth')['state_dict']
    weights = [k for k in taken if k.endswith('weight')]
    assert differing({k: taken[k] for k in weights}, {k: finetuned[k] for k in weights}) == []
