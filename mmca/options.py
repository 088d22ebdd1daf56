"""Errors for options that a config got wrong."""

import difflib
import functools
import inspect
from typing import Any, TypeVar

T = TypeVar('T', bound=type)


def suggest_options(cls: T) -> T:
    """Class decorator: an unknown keyword raises a TypeError that names the nearest option.

    The known options are the named parameters of ``__init__`` along the MRO, up to and
    including the first one without ``**kwargs``.
    """
    options = set()
    for base in cls.__mro__:
        if '__init__' not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters.values()
        options |= {
            p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    options.discard('self')
    init = cls.__init__

    @functools.wraps(init)
    def checked_init(self, *args, **kwargs):
        for key in kwargs.keys() - options:
            near = difflib.get_close_matches(key, options, n=1)
            hint = (
                f'did you mean {near[0]!r}?' if near else f'options: {", ".join(sorted(options))}'
            )
            raise TypeError(f'{cls.__name__} has no option {key!r}: {hint}')
        init(self, *args, **kwargs)

    cls.__init__ = checked_init
    return cls


def check_choice(owner: str, option: str, value: Any, choices: tuple) -> None:
    """Raise a ValueError that lists ``choices`` unless ``value`` is one of them."""
    if value not in choices:
        allowed = ', '.join(map(repr, choices))
        raise ValueError(f'{owner}: {option}={value!r} is not one of {allowed}')


def check_at_least(owner: str, option: str, value: Any, lowest: int) -> None:
    """Raise a ValueError unless ``value`` is a whole number of at least ``lowest``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f'{owner}: {option}={value!r} must be a whole number >= {lowest}')


def check_odd(owner: str, option: str, value: Any) -> None:
    """Raise a ValueError unless ``value``, a kernel size, is an odd number of at least 1."""
    check_at_least(owner, option, value, 1)
    if value % 2 == 0:
        raise ValueError(f'{owner}: {option}={value} must be odd, or the map would shift')
