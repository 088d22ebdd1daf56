"""``~`` and environment variables in the paths of a config and of the command line."""

import os
import re
from typing import Any

from mmca.errors import UserError

PATH_OPTION = re.compile(r'.*(file|prefix|root|path|dir|folder)s?')
_OTHERS = ('checkpoint', 'pretrained', 'load_from', 'classes')
_VARIABLE = re.compile(r'\$(\w+|\{\w+\})')


def expanded(path: str, name: str = '') -> str:
    """A path with the home folder for ``~`` and values for ``$NAME`` and ``${NAME}``.

    Args:
        path (str): The path; an address with ``://`` stays as it is.
        name (str): What it is of, for messages.

    Raises:
        UserError: If it begins with a variable that is not set.
    """
    if '://' in path or not ('$' in path or path.startswith('~')):
        return path
    found = os.path.expandvars(os.path.expanduser(path))
    if unset := _VARIABLE.match(found):
        raise UserError(
            f'{name + "=" if name else ""}{path}: the environment variable '
            f'{unset[1].strip("{}")} is not set; set it, or write the folder itself'
        )
    return found


def expand_paths(node: Any, name: str = '', is_path: bool = False) -> Any:
    """Expand the paths in a config, in place; errors as those of :func:`expanded`.

    Args:
        node (Any): The config, or a value in it.
        name (str): Where in the config.
        is_path (bool): Whether a text is a path.

    Returns:
        Any: The same dict or list; the expanded text of a path; any other value itself.
    """
    if isinstance(node, str):
        return expanded(node, name) if is_path else node
    if not isinstance(node, (dict, list)):
        return node
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        option = name.rpartition('.')[2] if isinstance(node, list) else str(key)
        named = bool(PATH_OPTION.fullmatch(option)) or option in _OTHERS
        # Within data_prefix each value is one.
        inside = is_path and name.endswith('data_prefix')
        new = expand_paths(value, f'{name}.{key}'.lstrip('.'), named or inside)
        if new is not value:
            node[key] = new
    return node
