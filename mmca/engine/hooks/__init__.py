from .channels_last_hook import ChannelsLastHook
from .checkpoint_hook import CheckpointHook
from .finite_loss_hook import FiniteLossHook
from .folderwise_visualization_hook import FolderwiseVisualizationHook
from .iteration_seed_hook import IterationSeedHook

__all__ = [
    'ChannelsLastHook',
    'CheckpointHook',
    'FiniteLossHook',
    'FolderwiseVisualizationHook',
    'IterationSeedHook',
]
