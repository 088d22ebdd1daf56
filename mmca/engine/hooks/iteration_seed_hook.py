import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmca.registry import HOOKS


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seed torch before each iteration from the run's seed, the iteration and the rank.

    Checkpoints of mmengine hold no random state. With this hook dropout depends on nothing
    that is lost with the process, so a resumed run goes on as if it had not stopped.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        key = [runner.seed, runner.iter, get_rank()]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
