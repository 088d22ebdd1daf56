"""A training loop against what counts with it: the sampler, checkpoints, schedulers."""

from collections.abc import Iterator, Mapping, Sequence

from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.registry import DATA_SAMPLERS

from mmca.config_walk import library_of, type_name

from .built import class_of

_LENGTH = {'EpochBasedTrainLoop': 'max_epochs', 'IterBasedTrainLoop': 'max_iters'}
# mmdet's endless batch samplers.
_ENDLESS = ('MultiSourceSampler', 'GroupMultiSourceSampler')


def loop_problems(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Settings with which a training by mmengine's loops would not end, start, or keep anything."""
    train = cfg.get('train_cfg')
    if 'train_dataloader' not in loaders or not train or not cfg.get('train_dataloader'):
        return []
    loop = type_name(train)
    if not loop and 'by_epoch' in train:
        loop = 'EpochBasedTrainLoop' if train['by_epoch'] else 'IterBasedTrainLoop'
    if loop not in _LENGTH:
        return []
    problems = list(_length_problems(loop, train))
    if loop == 'EpochBasedTrainLoop':
        problems += _endless_problems(cfg)
    else:
        problems += _scheduler_problems(cfg)
    return problems + list(_checkpoint_problems(cfg, loop, train.get(_LENGTH[loop])))


def _length_problems(loop: str, train: Mapping) -> Iterator[str]:
    needed = _LENGTH[loop]
    other = 'max_iters' if needed == 'max_epochs' else 'max_epochs'
    if needed not in train or other in train:
        found = f'has {other}' if other in train else f'lacks {needed}'
        yield (
            f'train_cfg {found}: {loop} is given {needed} alone, '
            f"train_cfg=dict(_delete_=True, type='{loop}', {needed}=N)"
        )
    for option in (needed, 'val_interval'):
        value = train.get(option, 1)
        if option in train and not _is_count(value):
            remedy = (
                '; to validate never, val_dataloader=None val_cfg=None val_evaluator=None'
                if option == 'val_interval'
                else ': there would be no training'
            )
            yield f'train_cfg.{option}={value!r}: give a whole number from 1{remedy}'


def _is_count(value: object) -> bool:
    """Whether it is a whole number from 1; mmengine takes 2.0 for 2."""
    return isinstance(value, (int, float)) and value >= 1 and value == int(value)


def _endless_problems(cfg: Config) -> Iterator[str]:
    for option in ('sampler', 'batch_sampler'):
        sampler = cfg.train_dataloader.get(option) or {}
        kind = class_of(cfg, sampler, DATA_SAMPLERS)
        endless = isinstance(kind, type) and issubclass(kind, InfiniteSampler)
        if endless or type_name(sampler) in _ENDLESS:
            finite = 'mmca.DefaultSampler' if library_of(sampler) == 'mmca' else 'DefaultSampler'
            yield (
                f'train_dataloader.{option} is {type_name(sampler)}, which ends no epoch, and '
                'train_cfg counts epochs (EpochBasedTrainLoop): there would be no validation and '
                f'no checkpoint. Take --cfg-options train_dataloader.{option}.type={finite}, or '
                "train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=N)"
            )


def schedulers(cfg: Config) -> Iterator[tuple[str, Mapping]]:
    """(path in the config, config) of each parameter scheduler."""
    given = cfg.get('param_scheduler') or []
    # Several optimizers have a list each.
    lists = {'.' + key: value for key, value in given.items()} if _is_named(given) else {'': given}
    for name, items in lists.items():
        single = not isinstance(items, (list, tuple))
        for index, item in enumerate([items] if single else items):
            yield f'param_scheduler{name}' + ('' if single else f'.{index}'), item


def _is_named(given: object) -> bool:
    return isinstance(given, Mapping) and 'type' not in given


def _scheduler_problems(cfg: Config) -> Iterator[str]:
    for path, scheduler in schedulers(cfg):
        if scheduler.get('by_epoch', True) and not scheduler.get('convert_to_iter_based'):
            yield (
                f'{path} ({type_name(scheduler)}) counts epochs, by_epoch=True, and train_cfg '
                'iterations (IterBasedTrainLoop): it would never change anything. Set '
                f'{path}.by_epoch=False, and its begin, end and steps in iterations'
            )


def _checkpoint_problems(cfg: Config, loop: str, length: int | None) -> Iterator[str]:
    hook = (cfg.get('default_hooks') or {}).get('checkpoint')
    if not hook or not type_name(hook).endswith('CheckpointHook'):
        return
    interval, by_epoch = hook.get('interval', -1), hook.get('by_epoch', True)
    iterations = loop == 'IterBasedTrainLoop'
    if type(interval) is not int:
        yield f'default_hooks.checkpoint.interval={interval!r}: give a whole number, -1 for none'
    elif iterations and by_epoch and interval > 0:
        yield (
            f'default_hooks.checkpoint counts epochs (by_epoch=True, interval={interval}) and '
            'train_cfg iterations (IterBasedTrainLoop): there would be no checkpoint before the '
            'end. Set default_hooks.checkpoint.by_epoch=False, and its interval in iterations'
        )
    elif hook.get('save_last', True) or hook.get('save_best'):
        return
    elif interval <= 0 or (by_epoch != iterations and interval > (length or interval)):
        yield (
            f'default_hooks.checkpoint would never write one: save_last=False, interval={interval} '
            f'and train_cfg.{_LENGTH[loop]}={length}. Set a smaller interval, or save_last=True'
        )
