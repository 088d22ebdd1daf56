"""What a killed training leaves behind, and that it goes on from there."""

import itertools
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, METRICS

from helpers.interruption import differing, run_killed, weights_of, workers
from helpers.tools import ROOT, run_tool
from mmca.checkpoint import CheckpointError
from mmca.datasets.samplers import InfiniteSampler
from mmca.engine.atomic_backend import AtomicBackend
from mmca.engine.hooks import CheckpointHook
from mmca.engine.resume import find_resumable, require_resumable


def pth_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob('*.pth'))


@pytest.mark.slow
@pytest.mark.input_fault(
    'Interrupted runs',
    'killed while or after a checkpoint is written, torn files',
    'goes on from the newest whole one, to equal weights',
)
def test_killed_and_resumed_ends_with_the_weights_of_an_uninterrupted_run(tiny_config, tmp_path):
    last = 'iter_24.pth'
    schedule = ['train_cfg.max_iters=24', 'train_cfg.val_interval=8']
    schedule += ['default_hooks.checkpoint.max_keep_ckpts=1']

    def command(work_dir, num_workers, *options):
        settings = ['--cfg-options', *schedule, *workers(num_workers), *options]
        return [tiny_config, '--work-dir', work_dir, *settings]

    whole = tmp_path / 'whole'
    outcome = run_tool('train', *command(whole, 1))
    assert outcome.code == 0, outcome.output

    # Killed right after iter_8.pth, before last_checkpoint and the old checkpoint are seen to.
    killed, train = tmp_path / 'killed', ROOT / 'tools' / 'train.py'
    run_killed('written', killed, 'iter_8.pth', train, *command(killed, 1))
    assert pth_names(killed) == ['iter_4.pth', 'iter_8.pth']
    assert Path((killed / 'last_checkpoint').read_text()).name == 'iter_4.pth'

    # Resumed in a fresh process, with other workers, and killed within a checkpoint.
    run_killed('writing', killed, 'iter_16.pth', train, *command(killed, 2), '--resume')
    assert 'iter_12.pth' in pth_names(killed)
    assert 'iter_16.pth' not in pth_names(killed)
    assert (killed / '.iter_16.pth.partial').exists()

    # And what a crash of the machine may leave on a disk.
    (killed / 'last_checkpoint').write_text('')
    torn = (killed / 'iter_12.pth').read_bytes()
    (killed / 'iter_16.pth').write_bytes(torn[: len(torn) // 2])
    outcome = run_tool('train', *command(killed, 0), '--resume')
    assert outcome.code == 0, outcome.output
    assert f'Passed over {killed}/iter_16.pth: not a readable checkpoint' in outcome.output
    assert 'resumed epoch: 0, iter: 12' in outcome.output

    assert differing(weights_of(whole, last), weights_of(killed, last)) == []
    # The comparison is not an empty one: other dropout, order and augmentation do show.
    other = tmp_path / 'other'
    outcome = run_tool('train', *command(other, 0, 'randomness.seed=1'))
    assert outcome.code == 0, outcome.output
    assert len(differing(weights_of(whole, last), weights_of(other, last))) > 200


@pytest.fixture
def checkpoints(tmp_path) -> Path:
    """A work dir with the whole checkpoints iter_4.pth and iter_8.pth."""
    for iteration in (4, 8):
        content = {'optimizer': {}, 'state_dict': {'weight': torch.full((999,), iteration)}}
        content['meta'] = dict(iter=iteration, epoch=0)
        torch.save(content, tmp_path / f'iter_{iteration}.pth')
    return tmp_path


@pytest.mark.parametrize('pointer', [None, '', 'nowhere/iter_99.pth', 'iter_12.pth', '\0\0\0'])
@pytest.mark.input_fault(
    'Interrupted runs',
    '`last_checkpoint` that is missing, empty or wrong',
    'not relied on',
)
def test_the_newest_whole_checkpoint_is_found_whatever_last_checkpoint_says(checkpoints, pointer):
    whole = (checkpoints / 'iter_8.pth').read_bytes()
    (checkpoints / 'iter_12.pth').write_bytes(whole[: len(whole) // 2])
    (checkpoints / 'iter_16.pth').write_bytes(b'')
    (checkpoints / '.iter_20.pth.partial').write_bytes(whole)
    # Weights alone cannot be trained on from, whatever their name.
    torch.save({'state_dict': {'weight': torch.zeros(1)}}, checkpoints / 'iter_24.pth')
    torch.save({'optimizer': {}}, checkpoints / 'best_mIoU_iter_28.pth')
    if pointer is not None:
        (checkpoints / 'last_checkpoint').write_text(pointer)
    assert find_resumable(checkpoints) == str(checkpoints / 'iter_8.pth')


def test_iterations_are_compared_as_numbers(checkpoints):
    (checkpoints / 'iter_8.pth').rename(checkpoints / 'iter_10.pth')
    assert find_resumable(checkpoints) == str(checkpoints / 'iter_10.pth')


def test_nothing_whole_is_an_error_that_says_what_was_tried(checkpoints):
    (checkpoints / 'iter_4.pth').write_bytes(b'PK')
    (checkpoints / 'iter_8.pth').write_bytes(b'')
    with pytest.raises(CheckpointError) as error:
        find_resumable(checkpoints)
    assert f'Nothing to resume in {checkpoints}' in str(error.value)
    for name in ('iter_4.pth', 'iter_8.pth'):
        assert f'{checkpoints / name}: not a readable checkpoint' in str(error.value)


@pytest.mark.parametrize('name', ['iter_8.pth', 'iter_12.pth'], ids=['overwriting', 'new'])
def test_a_kill_within_a_write_leaves_old_files_whole_and_no_torn_one(
    checkpoints, tmp_path_factory, name
):
    script = tmp_path_factory.mktemp('script') / 'save.py'
    script.write_text(
        'import sys\n'
        'from mmca.engine.atomic_backend import AtomicBackend\n'
        'AtomicBackend().put(bytes(1_000_000), sys.argv[1])\n'
    )
    before = {path.name: path.read_bytes() for path in checkpoints.glob('*.pth')}
    run_killed('writing', checkpoints, name, script, checkpoints / name)
    assert {path.name: path.read_bytes() for path in checkpoints.glob('*.pth')} == before
    assert (checkpoints / f'.{name}.partial').exists()
    assert find_resumable(checkpoints) == str(checkpoints / 'iter_8.pth')

    AtomicBackend().put(b'whole', checkpoints / name)
    assert (checkpoints / name).read_bytes() == b'whole'
    assert not (checkpoints / f'.{name}.partial').exists()


@METRICS.register_module(force=True)
class ListedScores(BaseMetric):
    """A mIoU that is known beforehand, one for each validation."""

    def __init__(self, scores) -> None:
        super().__init__()
        self.scores = list(scores)

    def process(self, data_batch, data_samples) -> None:
        self.results.append(0)

    def compute_metrics(self, results) -> dict:
        return {'mIoU': self.scores.pop(0)}


@HOOKS.register_module(force=True)
class SaveBestAgain(Hook):
    """Gives the checkpoint hook a still better score at the same iteration."""

    priority = 'LOWEST'

    def after_val_epoch(self, runner, metrics) -> None:
        hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
        hook.after_val_epoch(runner, {'mIoU': metrics['mIoU'] + 0.5})


@pytest.mark.slow
def test_a_checkpoint_goes_only_when_its_successor_is_on_disk(tiny_config, tmp_path, monkeypatch):
    seen = []
    put = AtomicBackend.put

    def recording_put(self, obj, filepath):
        folder = Path(filepath).parent
        seen.append((Path(filepath).name, pth_names(folder)))
        put(self, obj, filepath)

    monkeypatch.setattr(AtomicBackend, 'put', recording_put)
    config = tmp_path / 'config.py'
    config.write_text(
        f'_base_ = {str(tiny_config)!r}\n'
        'train_cfg = dict(val_interval=4)\n'
        'default_hooks = dict(checkpoint=dict(max_keep_ckpts=1))\n'
        "val_evaluator = dict(_delete_=True, type='ListedScores', scores=[1.0, 2.0, 1.5])\n"
        "custom_hooks = [dict(type='SaveBestAgain')]\n"
    )
    outcome = run_tool('train', config, '--work-dir', tmp_path / 'run')
    assert outcome.code == 0, outcome.output
    at_4 = ['best_mIoU_iter_4.pth', 'iter_4.pth']
    at_8 = ['best_mIoU_iter_4.pth', 'best_mIoU_iter_8.pth', 'iter_8.pth']
    assert seen == [
        ('iter_4.pth', []),
        # The best one, then the regular one again, which remembers the best; and both again.
        ('best_mIoU_iter_4.pth', ['iter_4.pth']),
        ('iter_4.pth', at_4),
        ('best_mIoU_iter_4.pth', at_4),
        ('iter_4.pth', at_4),
        ('iter_8.pth', at_4),
        ('best_mIoU_iter_8.pth', ['best_mIoU_iter_4.pth', 'iter_8.pth']),
        ('iter_8.pth', at_8),
        ('best_mIoU_iter_8.pth', ['best_mIoU_iter_8.pth', 'iter_8.pth']),
        ('iter_8.pth', ['best_mIoU_iter_8.pth', 'iter_8.pth']),
        ('iter_12.pth', ['best_mIoU_iter_8.pth', 'iter_8.pth']),
    ]
    assert pth_names(tmp_path / 'run') == ['best_mIoU_iter_8.pth', 'iter_12.pth']


def test_resuming_where_nothing_can_be_resumed_is_an_error(tiny_config, tmp_path):
    work_dir = tmp_path / 'empty'
    outcome = run_tool('train', tiny_config, '--work-dir', work_dir, '--resume')
    assert outcome.code == 1
    assert f'Error: Nothing to resume in {work_dir}' in outcome.output
    assert 'Check --work-dir, or train without --resume to start anew' in outcome.output
    assert 'Traceback' not in outcome.output
    assert not work_dir.exists()


@pytest.mark.parametrize('elsewhere', [False, True], ids=['anew', 'resuming another run'])
@pytest.mark.input_fault(
    'Interrupted runs',
    'a work directory that holds a trained run',
    'refused',
)
def test_a_trained_run_is_not_overwritten(tiny_config, checkpoints, tmp_path_factory, elsewhere):
    before = {path: path.read_bytes() for path in checkpoints.iterdir()}
    arguments = []
    if elsewhere:
        other = tmp_path_factory.mktemp('other') / 'iter_4.pth'
        other.write_bytes((checkpoints / 'iter_4.pth').read_bytes())
        arguments = ['--resume', other]
    outcome = run_tool('train', tiny_config, '--work-dir', checkpoints, *arguments)
    assert outcome.code == 1
    assert f'Error: {checkpoints} holds a trained run (iter_8.pth)' in outcome.output
    assert '--resume' in outcome.output and 'another --work-dir' in outcome.output
    assert {path: path.read_bytes() for path in checkpoints.iterdir()} == before


def test_resuming_from_weights_alone_is_an_error(tiny_config, tmp_path):
    weights = tmp_path / 'best_mIoU_iter_8.pth'
    torch.save({'state_dict': {'weight': torch.zeros(1)}}, weights)
    outcome = run_tool('train', tiny_config, '--work-dir', tmp_path, '--resume', weights)
    assert outcome.code == 1
    assert f'Error: {weights}: holds no optimizer state' in outcome.output
    assert 'load_from=PATH' in outcome.output


@pytest.mark.input_fault(
    'Interrupted runs',
    '`--resume` of a checkpoint that does not say how far its training was',
    'refused',
)
def test_a_checkpoint_says_how_far_it_is(tmp_path):
    path = tmp_path / 'iter_8.pth'
    for meta in ({}, dict(meta=None), dict(meta=dict(epoch=3))):
        torch.save({'optimizer': {}, **meta}, path)
        with pytest.raises(CheckpointError, match='does not say how far its training was'):
            require_resumable(path)


@pytest.mark.slow
@pytest.mark.input_fault(
    'Interrupted runs',
    '`--resume` with another optimizer, or another network of parameter groups',
    'refused',
)
def test_the_optimizer_is_that_of_the_run(tiny_config, trained, tmp_path):
    checkpoint = trained.work_dir / 'iter_8.pth'
    for options, reason in (
        (
            ["optim_wrapper.optimizer={'_delete_': True, 'type': 'SGD', 'lr': 1, 'momentum': 0.9}"],
            "has no 'momentum', which SGD needs: go on with the optim_wrapper of the run",
        ),
        (
            ['optim_wrapper.paramwise_cfg={"norm_decay_mult": 0.0}'],
            'parameters in 1 groups, the config makes ',
        ),
    ):
        arguments = ['--work-dir', tmp_path / 'work', '--resume', checkpoint]
        outcome = run_tool('train', tiny_config, *arguments, '--cfg-options', *options)
        assert outcome.code == 1
        assert f'Error: Checkpoint {checkpoint}: the state of its optimizer ' in outcome.output
        assert reason in outcome.output


@pytest.mark.slow
def test_a_fine_tuned_run_resumes_with_its_own_classifier(tiny_config, tmp_path):
    """What ``ignore_keys`` leaves out of ``load_from`` is the run's own later on."""

    def train(work_dir, max_iters, *arguments):
        outcome = run_tool(
            'train',
            tiny_config,
            '--work-dir',
            work_dir,
            '--cfg-options',
            f'train_cfg.max_iters={max_iters}',
            'default_hooks.checkpoint.interval=2',
            'default_hooks.checkpoint.save_best=None',
            'default_hooks.checkpoint.ignore_keys=[decode_head.conv_seg]',
            *arguments,
        )
        assert outcome.code == 0, outcome.output

    train(tmp_path / 'whole', 4)
    train(tmp_path / 'parted', 2)
    train(tmp_path / 'parted', 4, '--resume')
    whole, parted = (weights_of(tmp_path / name, 'iter_4.pth') for name in ('whole', 'parted'))
    assert differing(whole, parted) == []


class Numbers(BaseDataset):
    """As many empty samples as ``ann_file`` says."""

    def load_data_list(self) -> list[dict]:
        return [{} for _ in range(int(self.ann_file))]


@pytest.mark.parametrize(
    ('dataset', 'expected'),
    [
        (ConcatDataset([Numbers(ann_file='3'), Numbers(ann_file='4')]), (0, 1, 2, 0, 1, 2, 3)),
        (RepeatDataset(Numbers(ann_file='3'), times=2), (0, 1, 2, 0, 1, 2)),
    ],
    ids=['ConcatDataset', 'RepeatDataset'],
)
def test_wrapped_datasets_keep_the_place_in_the_stream(dataset, expected):
    """Else their samples would be augmented from whatever random state a worker has."""
    sampler = InfiniteSampler(dataset, shuffle=False, seed=5)
    for position, index in enumerate(itertools.islice(sampler, len(dataset))):
        inner = dataset[pickle.loads(pickle.dumps(index))]['sample_idx']
        assert inner == expected[position]
        assert (inner.seed, inner.position) == (5, position)
