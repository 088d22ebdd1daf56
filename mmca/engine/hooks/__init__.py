from .checkpoint_hook import CheckpointHook
from .finite_loss_hook import FiniteLossHook
from .folderwise_visualization_hook import FolderwiseVisualizationHook
from .iteration_seed_hook import IterationSeedHook

__all__ = [
    'CheckpointHook',
    'FiniteLossHook',
    'FolderwiseVisualizationHook',
    'IterationSeedHook',
]
