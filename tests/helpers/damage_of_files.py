"""Damages of any file, and how one is chosen."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

IMAGES = ('.jpg', '.png')


class Damage(NamedTuple):
    """One damage.

    Attributes:
        file: Which of the files, counted in order of their names and on from the last.
        how: Name of a function below that can be applied to this file, counted in the same way.
        place: Where in the file.
        value: A value of `VALUES`, `_FILLS` ...: counted in the same way.
    """

    file: int
    how: int
    place: int
    value: int


def pick(items, number: int) -> Any:
    return items[number % len(items)]


def cut(path: Path, damage: Damage) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: damage.place % len(content)])


def flip(path: Path, damage: Damage) -> None:
    content = bytearray(path.read_bytes())
    content[damage.place % len(content)] ^= 1 + damage.value % 255
    path.write_bytes(content)


def _insert(path: Path, damage: Damage) -> None:
    content = path.read_bytes()
    at = damage.place % len(content)
    path.write_bytes(content[:at] + bytes([damage.value % 256]) * 3 + content[at:])


def _remove(path: Path, damage: Damage) -> None:
    path.unlink()


def _swap(path: Path, damage: Damage) -> None:
    others = [other for other in sorted(path.parent.iterdir()) if other.is_file()]
    other = pick(others, damage.place)
    content = other.read_bytes()
    other.write_bytes(path.read_bytes())
    path.write_bytes(content)


def restore_as_folder(path: Path, damage: Damage) -> None:
    path.unlink()
    path.mkdir()


def _lose_link(path: Path, damage: Damage) -> None:
    path.unlink()
    path.symlink_to(pick((path, path.with_name('gone')), damage.place))


def _rename(path: Path, damage: Damage) -> None:
    names = path.name.upper(), f'{path.stem}x', f'{path.name}.bak', f' {path.name}', f'.{path.name}'
    path.rename(path.with_name(pick(names, damage.place)))


def _copy(path: Path, damage: Damage) -> None:
    shutil.copy(path, path.with_name(f'x{path.name}'))


OF_FILES = [cut, flip, _insert, _remove, _swap, restore_as_folder, _lose_link, _rename, _copy]
