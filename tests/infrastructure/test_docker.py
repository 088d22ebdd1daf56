"""The image's recipe names what exists; building it takes half an hour, see docker/README.md."""

import fnmatch
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from setup_env import STACKS, make_steps

ROOT = Path(__file__).parents[2]
README = ROOT / 'docker' / 'README.md'
IGNORED = [
    line
    for line in (ROOT / '.dockerignore').read_text().splitlines()
    if line and not line.startswith('#')
]


def instructions():
    """The Dockerfile's instructions: [(name, rest of the line)]."""
    text = re.sub(r'^#.*\n', '', (ROOT / 'docker' / 'Dockerfile').read_text(), flags=re.M)
    lines = text.replace('\\\n', ' ').splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line]


def copied_into_builder():
    """Sources and target of each COPY in the first stage."""
    names = [name for name, _ in instructions()]
    second = names.index('FROM', names.index('FROM') + 1)
    copies = [rest.split() for name, rest in instructions()[:second] if name == 'COPY']
    assert copies
    return [(words[:-1], words[-1]) for words in copies]


def is_ignored(path):
    """Docker's rule, as far as used here: patterns begin at the root, `**/` matches any folders."""
    parts = Path(path).parts
    for count in range(1, len(parts) + 1):
        start = '/'.join(parts[:count])
        for pattern in IGNORED:
            if fnmatch.fnmatchcase(start, pattern) or (
                pattern.startswith('**/') and fnmatch.fnmatchcase(parts[count - 1], pattern[3:])
            ):
                return True
    return False


@pytest.mark.parametrize('stack', STACKS)
def test_builder_has_what_the_set_up_reads(tmp_path, stack):
    for sources, target in copied_into_builder():
        folder = tmp_path / target
        for source in map(ROOT.joinpath, sources):
            if source.is_dir():
                shutil.copytree(source, folder)
            else:
                folder.mkdir(exist_ok=True)
                shutil.copy2(source, folder)
    for step in make_steps(STACKS[stack]):
        for path in step.inputs:
            assert (tmp_path / path.relative_to(ROOT)).is_file(), path
    for command in (['tools/setup_env.py', '--help'], ['setup.py', '--version']):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_image_ends_without_root_and_compilers():
    last = ''.join(f'{name} {rest}\n' for name, rest in instructions()).rpartition('\nFROM ')[2]
    assert re.findall(r'^USER (.+)', last, re.M) == ['mmca']
    assert not re.search(r'g\+\+|-dev\b|build-essential', last)


def test_versions_stand_in_requirements_alone():
    assert not re.search(r'==\s*\d', (ROOT / 'docker' / 'Dockerfile').read_text())


def test_what_git_ignores_stays_out_of_the_image():
    lines = (ROOT / '.gitignore').read_text().splitlines()
    names = [line.strip('/') for line in lines if line and not line.startswith('#')]
    assert {'data', 'work_dirs', '.venv*'} <= set(names)
    for name in [*names, '.git']:
        assert is_ignored(f'{name.replace("*", "x")}/file'), name
    assert is_ignored('mmca/ops/__pycache__/build.pyc')


def test_what_an_image_needs_is_not_left_out():
    files = [README, *ROOT.glob('[!.]*'), *ROOT.glob('mmca/**/*.py'), *ROOT.glob('tests/data/*')]
    left_out = [path for path in files if path.is_file() and is_ignored(path.relative_to(ROOT))]
    assert len(files) > 50
    assert not left_out


def readme_commands():
    """The words of each `docker` command, with the variables of the shell put in."""
    blocks = ''.join(re.findall(r'^```sh\n(.*?)^```', README.read_text(), re.M | re.S))
    lines = re.sub(r'\$\(.*?\)|\$PWD', '1000', blocks.replace('\\\n', ' ')).splitlines()
    return [words for words in map(shlex.split, lines) if words[:1] == ['docker']]


def test_readme_builds_with_arguments_that_exist():
    names = {rest.partition('=')[0] for name, rest in instructions() if name == 'ARG'}
    builds = [words for words in readme_commands() if words[1] == 'build']
    assert len(builds) == 2
    for words in builds:
        assert (ROOT / words[words.index('-f') + 1]).is_file()
        given = [after for word, after in zip(words, words[1:]) if word == '--build-arg']
        assert {argument.partition('=')[0] for argument in given} <= names
    table = re.findall(r'^\| (`[A-Z].*?) \|', README.read_text(), re.M)
    assert set(re.findall(r'`(\w+)`', ' '.join(table))) == names


def test_readme_runs_what_exists_on_mounted_folders():
    [workdir] = {rest for name, rest in instructions() if name == 'WORKDIR'}
    [made] = [rest for _, rest in instructions() if rest.startswith('mkdir data')]
    runs = [words for words in readme_commands() if words[1] == 'run']
    assert len(runs) >= 3
    for words in runs:
        for word, mount in zip(words, words[1:]):
            if word == '-v':
                target = mount.split(':')[1]
                assert target.startswith(f'{workdir}/')
                assert target.removeprefix(f'{workdir}/') in made.split()
        image = next(i for i, word in enumerate(words) if word in ('mmca', 'mmca:cuda'))
        if words[image + 1] == 'python':
            assert (ROOT / words[image + 2]).is_file()


def test_shell_of_the_build_parses():
    shell = [re.sub(r'--mount=\S+', '', rest) for name, rest in instructions() if name == 'RUN']
    assert len(shell) >= 4
    for text in shell:
        done = subprocess.run(['sh', '-n', '-c', text], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
