"""Settings with which a part of a run cannot be built, told without a traceback."""

import difflib
import inspect
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config
from torch.utils.data import DataLoader

from mmca.config_walk import type_name
from mmca.errors import UserError

_ERRORS = (TypeError, ValueError, KeyError, AssertionError, AttributeError, ImportError)
# Whose classes say in their errors what is wrong with an option; of other ones the traceback does.
_LIBRARIES = ('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain', 'mmca', 'torch')
_RUNNER, _BUILD = 'mmengine.runner.runner', 'build_from_cfg'
# Methods of the Runner, and the settings that they read.
_SETTINGS = {
    'set_randomness': 'randomness',
    'build_logger': 'log_level',
    'setup_env': 'env_cfg',
    'build_optim_wrapper': 'optim_wrapper',
    'build_param_scheduler': 'param_scheduler',
}
_SHOWN = 120
_UNKNOWN = re.compile(r"unexpected keyword argument '(\w+)'")
_UNREGISTERED = re.compile(r'(\S+) is not in the (.+?) registry')


@contextmanager
def building_told(cfg: Config) -> Iterator[None]:
    """Context in which an error while something is built from ``cfg`` becomes a UserError.

    Raises:
        UserError: Names the part, its setting, and for a misspelt option or type the nearest one.
    """
    try:
        yield
    except UserError:
        raise
    except _ERRORS as error:
        if message := _message(cfg, error):
            raise UserError(message) from error
        raise


def _message(cfg: Config, error: Exception) -> str | None:
    words = str(error.args[0]) if error.args else type(error).__name__
    for section in ('train', 'val', 'test'):  # all of them, as long as they are
        words = words.partition(f', but got {section}')[0]
    # From the innermost: an error of the parts within a part is not its own.
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        name, module = frame.f_code.co_name, frame.f_globals.get('__name__')
        if name == _BUILD:
            given = frame.f_locals.get('cfg')
            if isinstance(given, Mapping):
                return _part_message(cfg, frame.f_locals, words)
            words = f'a part of it is {_short(given)}, and no dict with a type'  # of the next frame
        if name == 'build_dataloader' and module == _RUNNER:
            loader = frame.f_locals.get('dataloader')
            where = next((key for key in cfg if loader and cfg[key] == loader), 'a dataloader')
            return f'{where}: {_option_words(DataLoader, words) or words}'
        if name in _SETTINGS and module == _RUNNER:
            return f'{_SETTINGS[name]}={_short(cfg.get(_SETTINGS[name]))}: {words}'
        if module == _RUNNER and name == '__init__':
            return f'{words.rstrip(".")}: correct the config'
    return None


def _part_message(cfg: Config, building: Mapping, words: str) -> str | None:
    """What to say of a part, by the variables of the function that builds it."""
    given, kind = building.get('cfg') or {}, building.get('obj_cls')
    where = f'{path}: ' if (path := _path(cfg, given)) else ''
    if found := _UNREGISTERED.search(words):
        known = _names(building.get('registry'))
        near = difflib.get_close_matches(found[1].rpartition('.')[2], known, 3)
        hint = f'did you mean {" or ".join(near)}?' if near else 'is its module in custom_imports?'
        return f'{where}type={found[1]!r} is not in the registry {found[2]}: {hint}'
    if 'type' not in given:
        return f'{where or _short(given) + ": "}has no type'
    if getattr(kind, '__module__', '').partition('.')[0] not in _LIBRARIES:
        return None
    name = getattr(kind, '__name__', type_name(given))
    said = _option_words(kind, words) or words
    return f'{where}{said}' if said.startswith(name) else f'{where}{name}: {said}'


def _option_words(kind: Any, words: str) -> str | None:
    """What to say of an option that a class does not have."""
    if not (found := _UNKNOWN.search(words)):
        return None
    options = _options(kind)
    near = difflib.get_close_matches(found[1], options, 1)
    hint = f'did you mean {near[0]!r}?' if near else f'options: {", ".join(sorted(options))}'
    return f'{kind.__name__} has no option {found[1]!r}: {hint}'


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f'{text[:_SHOWN]}...'


def _names(registry: Any) -> list[str]:
    names: set[str] = set()
    while registry is not None:
        names.update(registry.module_dict)
        registry = registry.parent
    return sorted(names)


def _options(kind: Any) -> set[str]:
    """Names of the options of a class, those that it hands on to its bases among them."""
    options: set[str] = set()
    for base in getattr(kind, '__mro__', (kind,)):
        if isinstance(base, type) and '__init__' not in vars(base):
            continue
        parameters = inspect.signature(base).parameters.values()
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        options |= {parameter.name for parameter in parameters if parameter.kind in named}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return options


def _path(node: Any, part: Mapping, path: str = '') -> str:
    """Where in a config a part is; '' if it is not found, or made of other settings."""
    if isinstance(node, (Mapping, Config)):
        if path and _alike(node, part):
            return path
        items = node.items()
    else:
        items = enumerate(node) if isinstance(node, (list, tuple)) else ()
    below = (_path(item, part, f'{path}.{key}'.lstrip('.')) for key, item in items)
    return next(filter(None, below), '')


def _alike(node: Mapping, part: Mapping) -> bool:
    return bool(part) and node.get('type') == part.get('type') and set(node) == set(part)
