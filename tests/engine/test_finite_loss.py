"""A training whose weights are no longer numbers ends; one that can go on says what it saw."""

import re
from types import SimpleNamespace

import pytest
import torch

from helpers.tools import run_tool
from mmca.engine.hooks import FiniteLossHook


@pytest.mark.slow
@pytest.mark.input_fault(
    'Nothing to learn',
    'a learning rate, or anything else, that makes weights NaN or infinite',
    'the training ends, with the iteration',
)
def test_weights_that_are_no_numbers_end_the_training(tiny_config, tmp_path):
    outcome = run_tool(
        *('train', tiny_config, '--work-dir', tmp_path / 'work'),
        *('--cfg-options', 'optim_wrapper.optimizer.lr=1e30'),
    )
    assert outcome.code == 1
    (error,) = re.findall(r'^Error: .*', outcome.output, re.M)
    assert re.match(r'Error: the loss is nan in iteration \d+, and weights are no longer', error)
    assert 'optim_wrapper.optimizer.lr (now ' in error


def test_a_loss_alone_is_said_once():
    told = []
    runner = SimpleNamespace(
        model=torch.nn.Linear(1, 1),
        iter=4,
        logger=SimpleNamespace(warning=told.append),
        optim_wrapper=SimpleNamespace(get_lr=lambda: dict(lr=[0.1])),
    )
    hook = FiniteLossHook()
    for loss in (1.0, float('nan'), float('inf')):
        hook.after_train_iter(runner, 0, outputs=dict(loss=torch.tensor(loss)))
    hook.after_train_iter(runner, 0, outputs={})
    assert told == ['The loss is nan in iteration 5; the weights are finite still.']
