"""Damages of text: JSON, XML and lists."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .damage_of_files import Damage, cut, pick

# What takes the place of a value; of text formats as text.
VALUES = (
    *(None, True, False, 0, -1, 1, 2, 7, 0.5, -0.25, 2**31, 2**53 + 1, -(2**63), 10**400, 1e30),
    *(float('nan'), float('inf'), float('-inf'), '', ' ', 'cat', '1', '-3', 'nan', 'a.jpg', '..'),
    *('\0', '\ufeffa', 'ä' * 300, 'a/b', [], [1], [1, 2, 3, 4], ['x'], {}, {'id': 1}),
)
_ENCODINGS = ('utf-16', 'utf-8-sig', 'utf-32-le', 'cp037')


def _encode(path: Path, damage: Damage) -> None:
    text = path.read_text(errors='replace')
    path.write_bytes(text.encode(pick(_ENCODINGS, damage.place), errors='replace'))


def _end_lines(path: Path, damage: Damage) -> None:
    ends = b'\r\n', b'\r', b'\n\n', b' \n', b'\t\n', b'\x0b', b'\0\n'
    path.write_bytes(path.read_bytes().replace(b'\n', pick(ends, damage.place)))


OF_TEXT = [_encode, _end_lines]

# Of JSON.


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of each value within a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _places(item)


def _in_json(change: Callable[[Any, Any, Any], None]) -> Callable[[Path, Damage], None]:
    def damage_json(path: Path, damage: Damage) -> None:
        try:
            content = json.loads(path.read_bytes())
            container, key = pick(list(_places(content)), damage.place)
        except (ValueError, ZeroDivisionError, TypeError, AttributeError):
            return cut(path, damage)
        change(container, key, pick(VALUES, damage.value))
        path.write_text(json.dumps(content, indent=1))
        return None

    damage_json.__name__ = change.__name__
    return damage_json


def _replace_value(container: Any, key: Any, value: Any) -> None:
    container[key] = value


def _delete_value(container: Any, key: Any, value: Any) -> None:
    del container[key]


def _repeat_value(container: Any, key: Any, value: Any) -> None:
    if isinstance(container, list):
        container.insert(key, container[key])
    else:
        container[f'{key}s'] = container[key]


def _rename_key(container: Any, key: Any, value: Any) -> None:
    if isinstance(container, dict):
        container[key.upper()] = container.pop(key)
    else:
        container.reverse()


def _scale_value(container: Any, key: Any, value: Any) -> None:
    item = container[key]
    container[key] = str(item) if isinstance(item, (int, float)) else [item]


def _repeat_key(path: Path, damage: Damage) -> None:
    text = path.read_text(errors='replace')
    found = list(re.finditer(r'"(\w+)": ', text))
    if found:
        match = pick(found, damage.place)
        again = f'{match[0]}{json.dumps(pick(VALUES, damage.value))}, '
        path.write_text(text[: match.start()] + again + text[match.start() :])


def _turn_keys_round(path: Path, damage: Damage) -> None:
    """The later of two equal keys counts."""
    text = path.read_text(errors='replace')
    found = list(re.finditer(r'("\w+": )([^\[\]{},\n]+)', text))
    if found:
        match = pick(found, damage.place)
        again = f', {match[1]}{json.dumps(pick(VALUES, damage.value))}'
        path.write_text(text[: match.end()] + again + text[match.end() :])


OF_JSON = [
    *map(_in_json, (_replace_value, _replace_value, _delete_value, _repeat_value)),
    *map(_in_json, (_rename_key, _scale_value)),
    *(_repeat_key, _turn_keys_round),
]

# Of XML.


def _in_xml(change: Callable[[ET.Element, ET.Element, str], None]) -> Callable:
    def damage_xml(path: Path, damage: Damage) -> None:
        try:
            tree = ET.parse(path)
            places = [(parent, child) for parent in tree.iter() for child in parent]
            parent, child = pick(places, damage.place)
        except (ET.ParseError, ValueError, LookupError, ZeroDivisionError):
            return cut(path, damage)
        change(parent, child, str(pick(VALUES, damage.value)))
        tree.write(path, encoding='utf-8')
        return None

    damage_xml.__name__ = change.__name__
    return damage_xml


def _replace_text(parent: ET.Element, child: ET.Element, value: str) -> None:
    child.text = value


def _pad_text(parent: ET.Element, child: ET.Element, value: str) -> None:
    child.text = f'\n {child.text or ""}\t'


def _delete_element(parent: ET.Element, child: ET.Element, value: str) -> None:
    parent.remove(child)


def _repeat_element(parent: ET.Element, child: ET.Element, value: str) -> None:
    parent.append(child)


def _rename_element(parent: ET.Element, child: ET.Element, value: str) -> None:
    child.tag = child.tag.upper()


def _wrap_element(parent: ET.Element, child: ET.Element, value: str) -> None:
    parent.remove(child)
    ET.SubElement(parent, 'part').append(child)


OF_XML = [
    *map(_in_xml, (_replace_text, _replace_text, _pad_text, _delete_element)),
    *map(_in_xml, (_repeat_element, _rename_element, _wrap_element)),
]

# Of lists.


def _in_list(change: Callable[[list[str], int, str], None]) -> Callable[[Path, Damage], None]:
    def damage_list(path: Path, damage: Damage) -> None:
        lines = path.read_text(errors='replace').split('\n')
        change(lines, damage.place % len(lines), str(pick(VALUES, damage.value)))
        path.write_text('\n'.join(lines))

    damage_list.__name__ = change.__name__
    return damage_list


def _replace_line(lines: list[str], at: int, value: str) -> None:
    lines[at] = value


def _delete_line(lines: list[str], at: int, value: str) -> None:
    del lines[at]


def _repeat_line(lines: list[str], at: int, value: str) -> None:
    lines.insert(at, lines[at])


def _add_line(lines: list[str], at: int, value: str) -> None:
    lines.insert(at, value)


def _change_line(lines: list[str], at: int, value: str) -> None:
    changes = f'{lines[at]} ', f' {lines[at]}', lines[at].upper(), f'{lines[at]}.jpg'
    changes += f'/{lines[at]}', f'{lines[at]}\t1', f'{lines[at]} {value}', lines[at].split(' ')[0]
    lines[at] = changes[len(value) % len(changes)]


OF_LISTS = [
    *map(_in_list, (_replace_line, _delete_line, _repeat_line, _add_line, _change_line)),
    *map(_in_list, (_change_line,)),
]
