from mmengine.model import BaseModel, BaseModule
from mmengine.model.weight_init import PretrainedInit, update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from mmca.checkpoint import load_part


@WEIGHT_INITIALIZERS.register_module(name='Pretrained', force=True)
class StrictPretrainedInit(PretrainedInit):
    """mmengine's ``init_cfg=dict(type='Pretrained', ...)``, strict for what is ours.

    That are modules of mmca, models whose backbone, neck or head is one, and parts that an
    ``override`` names, which stay as loaded. To all others mmengine's own initialiser applies,
    which only logs what does not fit.

    Args:
        checkpoint (str): File or http(s) address.
        prefix (str | None): Take only the keys below it.
        map_location (str): Changes nothing; weights are copied to where the module is.

    Raises:
        CheckpointError: If the checkpoint cannot be read or does not fit.
    """

    def __call__(self, module: nn.Module) -> None:
        parts = (module, *(module.children() if isinstance(module, BaseModel) else ()))
        overridden = getattr(self, 'wholemodule', False)  # mmengine sets it for an override
        if not overridden and not any(map(_is_ours, parts)):
            super().__call__(module)
            return
        load_part(module, self.checkpoint, self.prefix)
        if overridden and isinstance(module, BaseModule):
            module._is_init = True  # or its own init_weights, which comes later, replaces them
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())


def _is_ours(module: nn.Module) -> bool:
    return any(cls.__module__.startswith('mmca.') for cls in type(module).__mro__)
