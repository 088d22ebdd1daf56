"""The documentation: links lead somewhere, named things exist, messages are the real ones."""

import ast
import functools
import glob
import itertools
import re
import shlex
from pathlib import Path

import pytest
from mmengine.config import Config

from helpers.tools import run_tool

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md')),
    *sorted(ROOT.glob('docs/**/*.md')),
    *sorted(ROOT.glob('docker/*.md')),
]
FENCE = re.compile(r'^```(\w*)\n(.*?)^```$', re.M | re.S)
# A script that hands its further options to a tool.
SERVES = {
    f'{launcher}_{tool}.sh': f'{tool}.py'
    for launcher in ('dist', 'slurm')
    for tool in ('train', 'test')
}

each_page = pytest.mark.parametrize(
    'page', PAGES, ids=lambda path: path.relative_to(ROOT).as_posix()
)


def fences(page: Path, *languages: str) -> list[str]:
    return [body for name, body in FENCE.findall(page.read_text()) if name in languages]


@functools.cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r'^#+ (.+)$', FENCE.sub('', page.read_text()), re.M)
    plain = [re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading) for heading in headings]
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in plain}


@each_page
def test_links_lead_somewhere(page):
    broken = []
    for target in re.findall(r'\]\(([^)\s]+)\)', FENCE.sub('', page.read_text())):
        if re.match(r'\w+:', target):
            continue
        name, _, anchor = target.partition('#')
        path = (page.parent / name).resolve() if name else page
        known = not anchor or (path.suffix == '.md' and path.is_file() and anchor in anchors(path))
        if not (path.exists() and known):
            broken.append(target)
    assert not broken


def test_every_page_is_in_the_index():
    index = (ROOT / 'docs/README.md').read_text()
    pages = {path.relative_to(ROOT / 'docs').as_posix() for path in ROOT.glob('docs/**/*.md')}
    assert {page for page in pages - {'README.md'} if f']({page})' not in index} == set()


def braces(text: str) -> list[str]:
    """What a shell makes of braces with commas."""
    found = re.search(r'\{([^{}]*)\}', text)
    if not found:
        return [text]
    rests = [text[: found.start()] + word + text[found.end() :] for word in found[1].split(',')]
    return [name for rest in rests for name in braces(rest)]


@each_page
def test_named_files_exist(page):
    """Also within a sentence. ``configs/my_*`` are the reader's, capitals stand for any name."""
    text = page.read_text()
    names = re.findall(
        r'(?<![\w./-])(?:tools|configs|tests|mmca)/[\w./{},*-]*\w\.(?:py|sh)\b', text
    )
    by_mim = re.findall(r'mim (?:train|test) mmca (?:configs/)?(\w+\.py)', text)
    names += [f'configs/{name}' for name in by_mim]
    wanted = [name for name in names if not re.search(r'configs/my_|[A-Z]{3}', name)]
    missing = [one for name in wanted for one in braces(name) if not glob.glob(str(ROOT / one))]
    assert not missing


def commands(page: Path) -> list[list[str]]:
    """Words of each command in a page's shell blocks."""
    found = []
    for block in fences(page, 'sh', 'bash', 'shell', 'console'):
        for line in block.replace('\\\n', ' ').splitlines():
            words = shlex.split(line.removeprefix('$ '), comments=True)
            start = 0
            for end, word in enumerate([*words, '&&']):
                if word in ('&&', '|', ';'):
                    found.append(words[start:end])
                    start = end + 1
    return [words for words in found if words]


@functools.cache
def options_of(tool: str, first: str | None) -> set[str]:
    """The options that a tool prints in its help, for its first argument."""
    outcome = run_tool(tool, *filter(None, [first]), '--help')
    assert outcome.code == 0, outcome.output
    return set(re.findall(r'--[\w-]+', outcome.output))


@each_page
def test_commands_have_these_options(page):
    unknown = []
    for words in commands(page):
        places = [i for i, word in enumerate(words) if re.search(r'(^|/)tools/\w+\.(py|sh)$', word)]
        for place in places[:1]:
            script = Path(words[place]).name
            tool = Path(SERVES.get(script, script)).stem
            rest = words[place + 1 :]
            first = rest[0] if rest and re.fullmatch(r'[\w./]+', rest[0]) else None
            given = {word.partition('=')[0] for word in rest if word.startswith('--')}
            if given or first:
                known = options_of(tool, None if script in SERVES else first)
                unknown += [f'{script} {option}' for option in given - known]
    assert not unknown


@each_page
def test_settings_fit_their_configs(page):
    """Each ``--cfg-options`` has a place in the config; the last name of it may be new."""
    unknown = []
    for words in commands(page):
        configs = [word for word in words if re.fullmatch(r'configs/(?!my_)\w+\.py', word)]
        if not configs or '--cfg-options' not in words:
            continue
        settings = itertools.takewhile(
            lambda word: not word.startswith('--'), words[words.index('--cfg-options') + 1 :]
        )
        for setting in settings:
            node, names = Config.fromfile(ROOT / configs[0]), setting.partition('=')[0].split('.')
            for name in names[:-1] or names:
                known = int(name) < len(node) if isinstance(node, list) else name in node
                if not known:
                    unknown.append(f'{configs[0]}: {setting}')
                    break
                node = node[int(name) if isinstance(node, list) else name]
    assert not unknown


@each_page
def test_make_targets_exist(page):
    makefile = (ROOT / 'Makefile').read_text()
    targets = set(re.findall(r'^([\w-]+):', makefile, re.M))
    calls = [words for words in commands(page) if 'make' in words]
    inline = re.findall(r'`((?:\w+=\S+ )*make [^`]+)`', FENCE.sub('', page.read_text()))
    for words in [*calls, *map(str.split, inline)]:
        given = words[words.index('make') + 1 :]
        settings = {word.partition('=')[0] for word in given if '=' in word}
        named = {word for word in given if '=' not in word and not word.startswith('-')}
        assert named - {'TARGET', '...'} <= targets, words
        assert all(name in makefile for name in settings), words


@functools.cache
def messages() -> list[str]:
    """All texts in the code; ``\\0`` stands for what is put in."""
    found = []
    for folder in ('mmca', 'tools'):
        for path in sorted((ROOT / folder).rglob('*.py')):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
                elif isinstance(node, ast.JoinedStr):
                    parts = [
                        part.value if isinstance(part, ast.Constant) else '\0'
                        for part in node.values
                    ]
                    found.append(''.join(parts))
    return found


def test_troubleshooting_quotes_real_messages():
    """Each ``text`` block is printed by our code; ``...`` stands for what varies."""
    quoted = fences(ROOT / 'docs/troubleshooting.md', 'text')
    assert len(quoted) >= 15
    for quote in quoted:
        pieces = [' '.join(piece.split()) for piece in quote.split('...')]
        pattern = re.compile('.*'.join(map(re.escape, filter(None, pieces))), re.S)
        assert any(pattern.search(' '.join(text.split())) for text in messages()), quote
