"""Errors that a user can mend, and the one place that turns them into words."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """The message says what is wrong, where, and what to do about it."""


@contextmanager
def told_to_the_user() -> Iterator[None]:
    """Within, a :class:`UserError` ends the program with ``Error: ...`` and exit status 1."""
    try:
        yield
    except UserError as error:
        # A worker of a data loader puts its traceback in front.
        message = str(error).rpartition(f'{type(error).__name__}: ')[2]
        raise SystemExit(f'Error: {message}') from error
