"""Another folder for the data than the one that a config was written for."""

import os
import re
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmca.config_walk import LOADERS, config_datasets, config_metrics
from mmca.errors import UserError

from .expansion import PATH_OPTION

# Where a config speaks of its data.
_SECTION = re.compile(r'.*(dataloader|evaluator|pipeline)')
# What is written.
_OUTPUT_OPTION = re.compile(r'(out|save|work).*')
# What mmengine does not join with the data_root beside it.
_NOT_JOINED = ('data_root', 'dataset', 'datasets', 'pipeline', 'metainfo', 'classes')


def set_data_root(cfg: Config, data_root: str) -> None:
    """Move every path of a config's data that lies at or below its data root to another folder.

    The old root is the config's ``data_root``, or what the roots of its datasets have in common
    if none of them lies there. Paths may be spelled as they like (``./data/``, absolute, with
    ``..``) and keep what comes below the old root. Datasets in other folders stay there, and the
    log says so.

    Args:
        cfg (Config): A config of mmseg, mmdet or mmpretrain; changed in place.
        data_root (str): The new folder.

    Raises:
        UserError: If the datasets' roots have nothing in common.
    """
    leaves = list(config_datasets(cfg, LOADERS))
    roots = {leaf['data_root'] for _, leaf in leaves if leaf.get('data_root')}
    old = _old_root(cfg.get('data_root'), roots)
    cfg.data_root = data_root
    if old is None:
        lists = {leaf.get('ann_file') for _, leaf in leaves}
        for _, leaf in leaves:
            leaf['data_root'] = data_root
        for metric in config_metrics(cfg):
            if metric.get('ann_file') and metric['ann_file'] in lists:
                metric['ann_file'] = os.path.join(data_root, metric['ann_file'])
        return
    for root in sorted(root for root in roots if not _is_below(root, old)):
        print_log(
            f'The data_root {root} of a dataset is not below {old}, for which --data-root '
            'stands: it stays',
            logger='current',
        )
    moved: set[int] = set()
    for section in list(cfg):
        if _SECTION.fullmatch(section) and cfg[section]:
            _move(cfg[section], section, old, data_root, moved)


def _old_root(named: str | None, roots: set[str]) -> str | None:
    """The folder that the new one stands for; None if the datasets have no root at all."""
    if named and (not roots or any(_is_below(root, named) for root in roots)):
        return named
    if len(roots) < 2:
        return next(iter(roots), None)
    common = os.path.commonpath([_absolute(root) for root in roots])
    if common == os.sep or any('://' in root for root in roots):
        raise UserError(
            f'--data-root: the datasets of this config lie in {", ".join(sorted(roots))}, which '
            'have no folder in common: set the data_root of each with --cfg-options'
        )
    return common


def _move(
    node: Any, option: str, old: str, new: str, moved: set[int], joined: bool = False
) -> None:
    """Move the paths within a dict or list.

    Args:
        node (Any): The dict or list.
        option (str): Its name in the config.
        old (str): The old root.
        new (str): The new one.
        moved (set[int]): Ids of what is done: loaders share parts.
        joined (bool): Whether relative paths begin at a data_root, not where the command runs.
    """
    if id(node) in moved:
        return
    moved.add(id(node))
    rooted = isinstance(node, dict) and bool(node.get('data_root'))
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        name = key if isinstance(key, str) else option
        below = (joined or rooted) and name not in _NOT_JOINED
        if isinstance(value, str):
            if name != 'type' and not (below and _is_relative(value)):
                node[key] = _moved(name, value, old, new)
        elif isinstance(value, tuple):
            parts = list(value)
            _move(parts, name, old, new, moved, below)
            node[key] = tuple(parts)
        elif isinstance(value, (dict, list)) and name != 'backend_args':
            _move(value, name, old, new, moved, below)


def _moved(option: str, value: str, old: str, new: str) -> str:
    """A text of a config; if it is a path at or below the old root, at the new one."""
    is_path = '/' in value or PATH_OPTION.fullmatch(option)
    # With a root such as '.', the work dirs lie below it, too.
    written = _OUTPUT_OPTION.match(option) and _is_below(os.curdir, old)
    if not value or not is_path or written or not _is_below(value, old):
        return value
    below = os.path.relpath(_absolute(value), _absolute(old))
    if below == os.curdir:
        return new
    # Some options are joined with names as text.
    return os.path.join(new, below) + ('/' if value.endswith('/') else '')


def _is_relative(path: str) -> bool:
    return not os.path.isabs(path) and '://' not in path


def _is_below(path: str, root: str) -> bool:
    if ('://' in path) != ('://' in root):
        return False
    path, root = _absolute(path), _absolute(root)
    return os.path.commonpath([path, root]) == root


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))
