import math

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from mmca.errors import UserError
from mmca.registry import HOOKS


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Ends a training whose weights are no longer numbers, and says so once if only the loss is.

    Weights that are NaN or infinite stay so: all that comes after is lost. Where a step with such
    a loss was left out, as mixed precision does, the training goes on. The tools add this hook to
    every training.
    """

    def __init__(self) -> None:
        self._told = False

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None
    ) -> None:
        loss = (outputs or {}).get('loss')
        value = loss.item() if isinstance(loss, Tensor) else loss
        if value is None or math.isfinite(value):
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        parameters = model.named_parameters()
        broken = next((name for name, value in parameters if not value.isfinite().all()), None)
        said = f'the loss is {value} in iteration {runner.iter + 1}'
        rates = [rate for group in runner.optim_wrapper.get_lr().values() for rate in group]
        if broken:
            inputs = (
                'look at mean and std of the data_preprocessor, then ' if batch_idx == 0 else ''
            )
            raise UserError(
                f'{said}, and weights are no longer finite, first {broken}; they would stay so: '
                f'{inputs}set a lower optim_wrapper.optimizer.lr (now {max(rates):g}), a longer '
                'warm-up or optim_wrapper.clip_grad=dict(max_norm=10)'
            )
        if not self._told:
            runner.logger.warning(f'{said[0].upper()}{said[1:]}; the weights are finite still.')
        self._told = True
