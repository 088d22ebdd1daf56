"""List files such as ``ImageSets/Main/train.txt``, read as mmengine reads them."""

from __future__ import annotations

from pathlib import Path


def read_list(path: Path) -> list[str]:
    """The lines as they are, like ``mmengine.list_from_file``: blanks and blank lines count.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it cannot be read otherwise, or is not UTF-8; says why.
    """
    from mmengine import list_from_file  # not above: preparing data needs no mmengine

    try:
        return list_from_file(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f'cannot be read ({error.strerror})') from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f'not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8'
        ) from None


def odd_name(name: str) -> str | None:
    """What is wrong with a line whose file does not exist, if the line itself shows it."""
    if name.startswith('\ufeff'):
        return 'begins with a byte order mark: save the list as UTF-8 without one'
    if not name.strip():
        return 'is blank: remove it'
    if name != name.strip():
        return f'has blanks around the name, {name!r}: remove them'
    return None
