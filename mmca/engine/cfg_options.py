"""``--cfg-options``: settings of a config on the command line. Imports no torch."""

import argparse
import ast
import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config, DictAction

from mmca.errors import UserError, told_to_the_user

# Read by mmengine's Runner, by mmca, or by the libraries, also where a config leaves them out.
_READ = (
    *('model', 'work_dir', 'load_from', 'resume', 'launcher', 'randomness', 'env_cfg', 'log_level'),
    *('train_dataloader', 'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg', 'test_cfg'),
    *('val_evaluator', 'test_evaluator', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr'),
    *('default_hooks', 'custom_hooks', 'visualizer', 'log_processor', 'default_scope'),
    *('experiment_name', 'data_preprocessor', 'sync_bn', 'find_unused_parameters', 'compile'),
    *('activation_checkpointing', 'efficient_conv_bn_eval', 'model_wrapper_cfg', 'cudnn_benchmark'),
    *('tta_model', 'tta_pipeline', 'checks', 'check_annotations', 'data_root'),
    *('data_command', 'prepared_root'),
)
# What a flag of the command decides.
_FLAGS = {'resume': '--resume', 'launcher': '--launcher'}
_NEAR = 0.75  # of difflib


class SettingsAction(DictAction):
    """mmengine's ``key=value`` arguments; values may hold ``dict(...)`` and ``{...}``, too."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        options = dict(getattr(namespace, self.dest, None) or {})
        with told_to_the_user():
            for text in values:
                key, equals, value = text.partition('=')
                if not equals or not key.strip():
                    raise UserError(
                        f'--cfg-options {text}: wants key=value without blanks; put a value that '
                        'has some into quotes'
                    )
                options[key.strip()] = _value(text, value)
        setattr(namespace, self.dest, options)


def _value(text: str, value: str) -> Any:
    for opening, closing in ('()', '[]', '{}'):
        if value.count(opening) != value.count(closing):
            raise UserError(
                f'--cfg-options {text}: {value.count(opening)} {opening} and '
                f'{value.count(closing)} {closing}; put the whole into quotes, as in '
                "'key=[(1, 2), (3, 4)]'"
            )
    if 'dict(' not in value and '{' not in value:
        return DictAction._parse_iterable(value)
    try:
        return _evaluate(ast.parse(value.strip(), mode='eval').body)
    except (SyntaxError, ValueError):
        raise UserError(
            f'--cfg-options {text}: is no value such as \'key=[dict(type="A", b=1)]\'; a path or '
            'text with other characters than letters and dots needs its own quotes'
        ) from None


def _evaluate(node: ast.expr) -> Any:
    """The value that an expression stands for; nothing is run. Bare names are text.

    Raises:
        ValueError: If it holds something else than texts, numbers, lists, tuples and dicts.
    """
    if isinstance(node, ast.Call):
        if ast.unparse(node.func) != 'dict' or node.args or not all(k.arg for k in node.keywords):
            raise ValueError
        return {item.arg: _evaluate(item.value) for item in node.keywords}
    if isinstance(node, ast.Dict):
        keys = map(_evaluate, node.keys)
        return dict(zip(keys, map(_evaluate, node.values), strict=True))
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_evaluate(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, (ast.Name, ast.Attribute)):
        return DictAction._parse_int_float_bool(ast.unparse(node))
    return ast.literal_eval(node)


def merge_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Put the settings of ``--cfg-options`` into a config.

    Raises:
        UserError: If one cannot be, or would change nothing; names those that are near.
    """
    for key, value in options.items():
        _check(cfg, key, value)
        if isinstance(value, dict) and not isinstance(_present(cfg, key), Mapping):
            value = {**value, '_delete_': True}  # mmengine puts no dict over None or a list
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            reason = error.args[0] if error.args else type(error).__name__
            raise UserError(f'--cfg-options {key}={value}: {reason}') from error


def _check(cfg: Config, key: str, value: Any) -> None:
    node: Any = cfg
    parts = key.split('.')
    if parts[0] in _FLAGS:
        raise UserError(f'--cfg-options {key}={value}: give {_FLAGS[parts[0]]} instead')
    for depth, part in enumerate(parts):
        said = f'--cfg-options {key}={value}: '
        place = '.'.join(parts[:depth])
        if isinstance(node, (list, tuple)):
            if not part.isdecimal() or int(part) >= len(node):
                raise UserError(f'{said}{place} is a list of {len(node)}, counted from 0')
            node = node[int(part)]
            continue
        if node is not None and not isinstance(node, (Mapping, Config)):
            raise UserError(f'{said}{place} is {node!r}, which has no {part!r} in it')
        known = list(node or ())
        if part not in known:
            if depth == 0 and part in _READ:
                return
            # The last part may be an option that the config leaves to its default.
            known = sorted({*map(str, known), *(() if depth else _READ)})
            alike = difflib.get_close_matches(part, known, 3, _NEAR)
            if depth == 0 or (alike and depth < len(parts) - 1):
                near = f'; did you mean {" or ".join(alike)}?' if alike else ''
                raise UserError(f'{said}the config has no {".".join(parts[: depth + 1])}{near}')
            return
        if depth == 0 and part not in _READ:
            raise UserError(
                f'{said}{part} is a variable of the config file, which others have read already: '
                f'nothing would change. Set {_uses(cfg, node[part])}'
            )
        node = node[part]


def _present(cfg: Config, key: str) -> Any:
    node: Any = cfg
    for part in key.split('.'):
        if isinstance(node, (list, tuple)):
            node = node[int(part)]
        else:
            node = node.get(part) if isinstance(node, (Mapping, Config)) else None
    return node


def _uses(cfg: Config, value: Any) -> str:
    """The settings that have a value, up to three of them."""
    found = [
        path for section in cfg if section in _READ for path in _paths(cfg[section], section, value)
    ]
    return ' and '.join(found[:3]) or 'the settings that were made of it'


def _paths(node: Any, path: str, value: Any) -> list[str]:
    if node == value and type(node) is type(value):
        return [path]
    if not isinstance(node, (Mapping, list, tuple)):
        return []
    items = node.items() if isinstance(node, Mapping) else enumerate(node)
    return [found for key, item in items for found in _paths(item, f'{path}.{key}', value)]
