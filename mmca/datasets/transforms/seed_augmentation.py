import random

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmca.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SeedAugmentation(BaseTransform):
    """Seed the random transforms that follow from the sample's place in the data stream.

    Needs :class:`mmca.InfiniteSampler` or :class:`mmca.DefaultSampler`; with another sampler it
    does nothing. Required key: ``sample_idx``.
    """

    def transform(self, results: dict) -> dict:
        index = results['sample_idx']
        if hasattr(index, 'position'):
            seed = np.random.SeedSequence([index.seed, index.position]).generate_state(1)[0]
            random.seed(int(seed))
            np.random.seed(seed)
            torch.manual_seed(int(seed))
        return results

    def __repr__(self) -> str:
        return 'SeedAugmentation()'
