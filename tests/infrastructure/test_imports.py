"""The rooms of the package import each other in one direction, and light ones stay light."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mmca

PACKAGE = Path(mmca.__file__).parent
MODULES = {
    '.'.join(path.relative_to(PACKAGE.parent).with_suffix('').parts).removesuffix('.__init__'): path
    for path in PACKAGE.rglob('*.py')
}


def imported(name: str) -> Iterator[str]:
    """Modules of ours that a module names in an import, also within its functions."""
    path = MODULES[name]
    package = name if path.name == '__init__.py' else name.rpartition('.')[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            candidates = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split('.')[: len(package.split('.')) + 1 - node.level]
            base = '.'.join([*(parents if node.level else []), *filter(None, [node.module])])
            # What is imported from a package may be a module of it.
            candidates = [f'{base}.{alias.name}' for alias in node.names]
            candidates = [c if c in MODULES else base for c in candidates]
        else:
            continue
        yield from (c for c in candidates if c in MODULES and c != name)


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Nodes of a circle in the graph, in order; empty if there is none."""
    done: set[str] = set()

    def search(path: list[str]) -> list[str]:
        for following in sorted(graph[path[-1]]):
            if following in path:
                return [*path[path.index(following) :], following]
            if following not in done and (found := search([*path, following])):
                return found
        done.add(path[-1])
        return []

    return next((found for node in sorted(graph) if (found := search([node]))), [])


def room(module: str) -> str:
    return module.split('.')[1] if '.' in module else 'mmca'


def test_a_circle_is_found():
    assert circle({'a': {'b'}, 'b': {'c'}, 'c': {'b'}}) == ['b', 'c', 'b']
    assert circle({'a': {'b', 'c'}, 'b': {'c'}, 'c': set()}) == []
    assert 'mmca.models.backbones.staged_backbone' in set(imported('mmca.convert.network'))


def test_modules_import_each_other_in_one_direction():
    assert circle({name: set(imported(name)) for name in MODULES}) == []


def test_rooms_import_each_other_in_one_direction():
    graph: dict[str, set[str]] = {room(name): set() for name in MODULES}
    for name in MODULES:
        graph[room(name)] |= {room(other) for other in imported(name)} - {room(name)}
    assert circle(graph) == []


def documented_rooms() -> dict[str, set[str]]:
    """What each room imports by docs/architecture.md, in its order."""
    page = (PACKAGE.parent / 'docs/architecture.md').read_text()
    rows = re.findall(r'^\| `(\w+)` \|.*\|(.*)\|$', page, re.M)
    return {name: set(re.findall(r'`(\w+)`', cell)) for name, cell in rows}


def test_architecture_lists_the_rooms_and_their_imports():
    real: dict[str, set[str]] = {}
    for name in set(MODULES) - {'mmca'}:
        own = name.split('.')[1]
        others = {other.split('.')[1] for other in imported(name) if other != 'mmca'}
        real[own] = real.get(own, set()) | others - {own}
    rooms = documented_rooms()
    assert rooms == real
    order = list(rooms)
    for name, others in rooms.items():
        below = {room(other) for other in order[order.index(name) + 1 :]} | {room(name)}
        assert {room(other) for other in others} <= below, name
    picture = (PACKAGE.parent / 'docs/images/architecture.svg').read_text()
    assert {name for name in rooms if name not in picture} <= {'version'}


@pytest.mark.parametrize(
    'module, absent',
    [
        ('mmca.checkpoint', ['mmca.models', 'mmca.convert', 'mmca.engine', 'mmcv']),
        ('mmca.convert.convert', ['mmca.engine', 'mmdet', 'mmseg', 'mmpretrain']),
    ],
)
def test_importing_one_does_not_import_the_others(module, absent):
    code = f'import sys, {module}; print([name for name in {absent} if name in sys.modules])'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
