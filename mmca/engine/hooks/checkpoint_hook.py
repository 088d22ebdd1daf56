from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mmengine.hooks import CheckpointHook as _CheckpointHook
from mmengine.hooks import EMAHook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner
from torch.optim import Optimizer

import mmca.engine.atomic_backend  # noqa: F401  registers the backend 'atomic'
from mmca.checkpoint import CheckpointError, first_meta, require_match, state_dict_of
from mmca.checks.class_order import order_difference
from mmca.options import suggest_options
from mmca.registry import HOOKS

# Options that tell kinds of optimizers apart, whatever the version of torch.
_OF_A_KIND = ('momentum', 'betas', 'alpha', 'rho', 'lambd', 'etas')
_FINE_TUNE = (
    'Use the config it was trained with; to fine-tune from it, name what to leave: '
    "default_hooks.checkpoint.ignore_keys=['decode_head.conv_seg']"
)


@HOOKS.register_module()
@suggest_options
class CheckpointHook(_CheckpointHook):
    """mmengine's CheckpointHook that loses nothing when killed and loads nothing by halves.

    Files are written atomically, an outdated checkpoint is removed only after the new one
    is on disk, and a checkpoint that does not fit the model is an error, be it for testing,
    resuming or fine-tuning.

    Args:
        ignore_keys (Sequence[str]): Prefixes of keys that are left out when a training starts
            from ``load_from``, for example ``('decode_head.conv_seg',)`` to fine-tune on other
            classes.
        **kwargs: Options of mmengine's ``CheckpointHook``.
    """

    def __init__(self, *args, ignore_keys: Sequence[str] = (), **kwargs) -> None:
        kwargs.setdefault('backend_args', dict(backend='atomic'))
        super().__init__(*args, **kwargs)
        self.ignore_keys = tuple(ignore_keys)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        source = f'Checkpoint {runner._load_from}'
        weights = state_dict_of(checkpoint, source, own=model.state_dict())
        # A run's own checkpoint, resumed or tested, must fit in full.
        starting = isinstance(runner.optim_wrapper, OptimWrapper) and not runner._resume
        ignored = self.ignore_keys if starting else ()
        if not starting:
            _require_same_classes(runner, checkpoint, source)
        if runner._resume and isinstance(runner.optim_wrapper, OptimWrapper):
            _require_same_optimizer(runner.optim_wrapper.optimizer, checkpoint, source)
        require_match(
            weights,
            model,
            source=source,
            remedy=_FINE_TUNE if starting else 'Use the config it was trained with.',
            ignore=ignored,
        )
        checkpoint['state_dict'] = {
            key: value for key, value in weights.items() if not key.startswith(ignored)
        }
        for hook in runner.hooks:
            # It comes before this one, and took what it found under the names of the file.
            if isinstance(hook, EMAHook) and not runner._resume:
                hook.after_load_checkpoint(runner, checkpoint)

    @contextmanager
    def _removing_last(self) -> Iterator[None]:
        """Put off the removal of files until the block, which writes new ones, is through."""
        backend, outdated = self.file_backend, []
        remove = backend.remove
        backend.remove = outdated.append
        try:
            yield
        finally:
            backend.remove = remove
        for path in set(outdated) - self._current():
            remove(path)

    def _current(self) -> set[str]:
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        return {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best}

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        with self._removing_last():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        with self._removing_last():
            super()._save_best_checkpoint(runner, metrics)


def _require_same_classes(runner: Runner, checkpoint: dict, source: str) -> None:
    """Raise a CheckpointError if a test would take a class for another one of the training."""
    meta = first_meta((checkpoint.get('meta') or {}).get('dataset_meta'))
    trained = meta.get('classes') or meta.get('CLASSES') or ()
    loop = runner._test_loop
    if not isinstance(loop, BaseLoop) or not isinstance(trained, (list, tuple)):
        return
    tested = first_meta(getattr(loop.dataloader.dataset, 'metainfo', None)).get('classes') or ()
    if difference := order_difference(tested, trained):
        raise CheckpointError(
            f'{source}: {difference} in its training, by the test data: list the classes in '
            'metainfo of the test data as the training did'
        )


def _require_same_optimizer(optimizer: Optimizer, checkpoint: dict, source: str) -> None:
    """Raise a CheckpointError if the state of an optimizer is that of another kind."""
    saved = (checkpoint.get('optimizer') or {}).get('param_groups') or []
    own = optimizer.param_groups
    sizes = [[len(group['params']) for group in groups] for groups in (saved, own)]
    lacking = [key for key in _OF_A_KIND if saved and key in own[0] and key not in saved[0]]
    if not lacking and sizes[0] == sizes[1]:
        return
    reason = (
        f'has no {lacking[0]!r}, which {type(optimizer).__name__} needs'
        if lacking
        else f'is of {sum(sizes[0])} parameters in {len(saved)} groups, the config makes '
        f'{sum(sizes[1])} in {len(own)}'
    )
    raise CheckpointError(
        f'{source}: the state of its optimizer {reason}: go on with the optim_wrapper of the run '
        'that wrote it, or start from its weights with --cfg-options load_from=PATH'
    )
