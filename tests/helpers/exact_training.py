"""What the trainings of test_distributed.py import: no rounding, no batch norm, failures."""

import os
import signal
import time

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch.nn.modules.batchnorm import _BatchNorm

# In float32 the rounding of sums in another order switches single ReLUs, which then shows.
torch.set_default_dtype(torch.float64)


@HOOKS.register_module()
class FrozenNorm(Hook):
    """Batch norm with stored statistics: else each process normalises its part of a batch."""

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        for module in runner.model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


@HOOKS.register_module()
class Fail(Hook):
    """Process 1 is killed, or hangs, in its seventh iteration."""

    def __init__(self, how: str) -> None:
        self.how = how

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == 6 and get_rank() == 1:
            if self.how == 'killed':
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(1000)
