from .checkpoint_hook import CheckpointHook
from .iteration_seed_hook import IterationSeedHook

__all__ = ['CheckpointHook', 'IterationSeedHook']
