from .checkpoint_hook import CheckpointHook
from .folderwise_visualization_hook import FolderwiseVisualizationHook
from .iteration_seed_hook import IterationSeedHook

__all__ = ['CheckpointHook', 'FolderwiseVisualizationHook', 'IterationSeedHook']
