from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmca.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Mixed precision on a CPU: the forward pass of a training in bfloat16, weights in float32.

    bfloat16 has the range of float32, so the loss needs no scaling. Pays on processors that
    compute in it (AVX512-BF16, AMX); mmengine's ``AmpOptimWrapper`` needs a GPU.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield
