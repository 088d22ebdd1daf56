"""Small damages of files, as editors, scripts, disks and people make them."""

import io
import json
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from PIL import Image

_IMAGES = ('.jpg', '.png')
# What takes the place of a value; of text formats as text.
VALUES = (
    *(None, True, False, 0, -1, 1, 2, 7, 0.5, -0.25, 2**31, 2**53 + 1, -(2**63), 10**400, 1e30),
    *(float('nan'), float('inf'), float('-inf'), '', ' ', 'cat', '1', '-3', 'nan', 'a.jpg', '..'),
    *('\0', '\ufeffa', 'ä' * 300, 'a/b', [], [1], [1, 2, 3, 4], ['x'], {}, {'id': 1}),
)
_ENCODINGS = ('utf-16', 'utf-8-sig', 'utf-32-le', 'cp037')
_MODES = ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'YCbCr', 'I', 'F', 'I;16')
# None that a resize at constant proportions makes less than a pixel high: OpenCV refuses that.
_SIZES = (1, 1), (1, 40), (48, 1), (40, 48), (47, 40), (96, 80), (2, 2), (200, 8)
_FILLS = (0, 1, 2, 3, 20, 254, 255, 256, 65535, -1, 0.5, float('nan'))


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


def damages() -> st.SearchStrategy[list[Damage]]:
    """One or two damages."""
    number = st.sampled_from(range(10_007))  # evenly, which integers() are not
    damage = st.builds(Damage, number, number, number, number)
    return st.one_of(damage.map(lambda item: [item]), st.lists(damage, min_size=1, max_size=2))


def apply(damage: Damage, root: Path) -> str:
    """Damage a file below ``root``; which one and how, in words."""
    files = sorted(path for path in root.rglob('*') if path.is_file() or path.is_symlink())
    # What somebody wrote more often than pictures.
    files = [path for path in files for _ in range(1 if path.suffix == '.jpg' else 4)]
    path = pick(files, damage.file)
    whole = path.is_file() and path.stat().st_size > 0
    how = pick(_ways(path) if whole else [_restore_as_folder], damage.how)
    how(path, damage)
    way = how.__name__.strip('_')
    return f'{path.relative_to(root)}: {way} {damage.place}, {damage.value}'


def pick(items, number: int) -> Any:
    return items[number % len(items)]


def _ways(path: Path) -> list[Callable[[Path, Damage], None]]:
    """Ways to damage a file; those of its format more often."""
    if path.suffix in _IMAGES:
        return _OF_IMAGES * 2 + _OF_FILES
    if path.suffix == '.json':
        return _OF_JSON * 3 + _OF_TEXT + _OF_FILES
    if path.suffix == '.xml':
        return _OF_XML * 3 + _OF_TEXT + _OF_FILES
    return _OF_LISTS * 2 + _OF_TEXT + _OF_FILES


# Of any file.


def _cut(path: Path, damage: Damage) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: damage.place % len(content)])


def _flip(path: Path, damage: Damage) -> None:
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


def _restore_as_folder(path: Path, damage: Damage) -> None:
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


_OF_FILES = [_cut, _flip, _insert, _remove, _swap, _restore_as_folder, _lose_link, _rename, _copy]

# Of text.


def _encode(path: Path, damage: Damage) -> None:
    text = path.read_text(errors='replace')
    path.write_bytes(text.encode(pick(_ENCODINGS, damage.place), errors='replace'))


def _end_lines(path: Path, damage: Damage) -> None:
    ends = b'\r\n', b'\r', b'\n\n', b' \n', b'\t\n', b'\x0b', b'\0\n'
    path.write_bytes(path.read_bytes().replace(b'\n', pick(ends, damage.place)))


_OF_TEXT = [_encode, _end_lines]

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
            return _cut(path, damage)
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


_OF_JSON = [
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
            return _cut(path, damage)
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


_OF_XML = [
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


_OF_LISTS = [
    *map(_in_list, (_replace_line, _delete_line, _repeat_line, _add_line, _change_line)),
    *map(_in_list, (_change_line,)),
]

# Of images and masks.


def _in_image(change: Callable[[Path, Image.Image, Damage], None]) -> Callable:
    def damage_image(path: Path, damage: Damage) -> None:
        before = path.read_bytes()
        try:
            with Image.open(io.BytesIO(before)) as image:
                image.load()
                change(path, image, damage)
        except Exception:  # it was damaged before, or its format cannot hold the mode
            path.write_bytes(before)
            _flip(path, damage)

    damage_image.__name__ = change.__name__
    return damage_image


def _change_mode(path: Path, image: Image.Image, damage: Damage) -> None:
    image = image.convert(pick(_MODES, damage.place))
    image.save(path, pick(('PNG', 'TIFF', 'JPEG', 'GIF', 'BMP', 'WEBP', 'PPM'), damage.value))


def _change_size(path: Path, image: Image.Image, damage: Damage) -> None:
    # A mask with its image, every other time.
    pair = path.parents[1].rglob(f'{path.stem}.*') if damage.value % 2 else [path]
    for file in [file for file in pair if file.suffix in _IMAGES]:
        with Image.open(file) as image:
            resized = image.resize(pick(_SIZES, damage.place), Image.Resampling.NEAREST)
        resized.save(file)


def _turn(path: Path, image: Image.Image, damage: Damage) -> None:
    exif = Image.Exif()
    exif[0x0112] = damage.place % 10
    image.save(path, exif=exif)


def _fill(path: Path, image: Image.Image, damage: Damage) -> None:
    value = pick(_FILLS, damage.value)
    kind = pick((np.uint8, np.uint16, np.int32, np.float32), damage.place)
    array = np.asarray(image.convert('L')).astype(kind)
    rows = pick((slice(None), slice(1), slice(20)), damage.file)
    with np.errstate(invalid='ignore'):
        array[rows] = np.array(value).astype(kind)
    Image.fromarray(array).save(path, 'TIFF' if kind == np.float32 else 'PNG')


def _add_frame(path: Path, image: Image.Image, damage: Damage) -> None:
    form = pick(('GIF', 'TIFF', 'PNG', 'WEBP'), damage.place)
    image.save(path, form, save_all=True, append_images=[image.rotate(90)])


_OF_IMAGES = list(map(_in_image, (_change_mode, _change_size, _turn, _fill, _add_frame)))
