"""The virtual environment that `tools/setup_env.py` fills: what is installed, checked, broken.

Standard library only: it runs before anything is installed.
"""

import contextlib
import hashlib
import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

HEARTBEAT_S = 30
OPENCV_TROUBLE = r'libGL\.so|libgthread|libglib'

# What a log says -> what to do about it.
KNOWN_PROBLEMS = {
    OPENCV_TROUBLE: 'OpenCV lacks system libraries: `apt-get install libgl1 libglib2.0-0`',
    r'Python\.h: No such file': "Python's headers are missing: `apt-get install python3-dev`",
    r'No space left on device': 'the disk is full: free some space and run it again',
    r'fatal error: Killed|Killed signal': 'out of memory while compiling: try MAX_JOBS=1',
    r'CUDA_HOME environment variable is not set|detected CUDA version': 'no matching CUDA toolkit: '
    'install it, or hide the GPU from the compilation: `CUDA_VISIBLE_DEVICES= make setup`',
    r'NameResolutionError|Failed to establish a new connection|Read timed out|ProxyError': 'the '
    'package index cannot be reached: check the network and run it again',
    r'No matching distribution found': 'no package fits this Python and platform (see the log); '
    'if TORCH_INDEX_URL is set, check it',
}


class SetupError(Exception):
    """Something the user has to do first; the message says what."""


class Step(NamedTuple):
    """A step of the set-up.

    Attributes:
        name: Name of its stamp.
        title: What it installs, for people.
        takes: How long it takes, for people.
        commands: Arguments of `pip install`, one list per call.
        wanted: Distributions that it provides: {name: pinned version or ''}.
        check: Python code that fails unless the result works.
        inputs: Files that decide the result.
    """

    name: str
    title: str
    takes: str
    commands: list[list[str]]
    wanted: dict[str, str]
    check: str
    inputs: list[Path]


def say(text: str) -> None:
    print(text, flush=True)


def minutes(seconds: float) -> str:
    return f'{int(seconds) // 60} min {int(seconds) % 60:02d} s'


def read_pins(path: Path) -> dict[str, str]:
    """Distributions of a requirements file: {name: version if pinned by `==`, else ''}."""
    pins = {}
    for line in path.read_text().splitlines():
        match = re.match(r'([A-Za-z0-9._-]+)\s*(?:==\s*([^\s#]+))?', line)
        if match:
            pins[match[1]] = match[2] or ''
    return pins


def normalized(name: str) -> str:
    return re.sub(r'[-_.]+', '-', name).lower()


def is_installed(wanted: dict[str, str], site: Path) -> bool:
    """Whether the wanted distributions lie in `site`, in the pinned version where one is pinned."""
    found = {
        normalized(dist.name): dist.version.split('+')[0]
        for dist in importlib.metadata.distributions(path=[str(site)])
        if dist.read_text('INSTALLER')
    }
    return all(
        normalized(name) in found and version in ('', found[normalized(name)])
        for name, version in wanted.items()
    )


def damaged_distributions(site: Path) -> list[Path]:
    """The `.dist-info` folders of installs that were cut off, and what pip left of replaced ones.

    pip takes such a distribution for installed. It unpacks all files first, then writes INSTALLER
    and the final RECORD; what it replaces waits in folders that begin with `~`.
    """
    damaged = list(site.glob('~*'))
    for info in site.glob('*.dist-info'):
        record = info / 'RECORD'
        if not (record.is_file() and (info / 'INSTALLER').is_file()):
            damaged.append(info)
            continue
        names = (line.rsplit(',', 2)[0].strip('"') for line in record.read_text().splitlines())
        if not all((site / name).exists() for name in names if not name.endswith('.pyc')):
            damaged.append(info)
    return damaged


class Environment:
    """The virtual environment `path` of a checkout `root`, with the log of its set-up."""

    def __init__(self, path: Path, log: Path, root: Path):
        self.path = path
        self.log = log
        self.root = root
        self.python = path / 'bin' / 'python'
        self.stamps = path / 'setup-stamps'

    def version(self) -> str:
        """'3.11' for Python 3.11; '' if the environment's Python is missing or does not run."""
        code = 'import sys; print("%d.%d" % sys.version_info[:2])'
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            return subprocess.check_output([self.python, '-c', code], text=True).strip()
        return ''

    @property
    def site(self) -> Path:
        return self.path / 'lib' / f'python{self.version()}' / 'site-packages'

    def fingerprint(self, step: Step) -> str:
        """Hash of what decides a step's result (but the index that torch comes from)."""
        digest = hashlib.sha256(f'{self.version()} {self.root} {step.wanted}'.encode())
        for path in step.inputs:
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def stamp(self, step: Step) -> Path:
        return self.stamps / step.name

    def is_done(self, step: Step) -> bool:
        """Whether a step was checked with these inputs, and its packages are still there."""
        stamp = self.stamp(step)
        return (
            stamp.is_file()
            and stamp.read_text() == self.fingerprint(step)
            and is_installed(step.wanted, self.site)
        )

    def mark_done(self, step: Step) -> None:
        self.stamps.mkdir(exist_ok=True)
        draft = self.stamps / f'{step.name}.tmp'
        draft.write_text(self.fingerprint(step))
        draft.replace(self.stamp(step))

    def prepare(self) -> None:
        """Create the environment, or repair one whose making or filling was cut off.

        Raises:
            SetupError: Something else has the environment's name, or it cannot be made.
        """
        if self.path.exists() and not (self.path / 'pyvenv.cfg').exists():
            begun = {'bin', 'include', 'lib', 'lib64'}
            if not self.path.is_dir() or {p.name for p in self.path.iterdir()} - begun:
                name = self.path.name
                raise SetupError(f'{name} exists and is no virtual environment: move it away')
        if self.version():
            for broken in damaged_distributions(self.site):
                say(f'      {broken.name} was installed in part only: to be done again')
                shutil.rmtree(broken) if broken.is_dir() else broken.unlink()
        else:
            for link in self.path.glob('bin/python*'):  # venv does not mend broken links
                link.unlink()
        whole = self.version() and is_installed({'pip': ''}, self.site)
        if not (whole or self.run([sys.executable, '-m', 'venv', str(self.path)])):
            raise SetupError(self.explain(f'{self.path.name} could not be made'))

    def pip_install(self, *args: str, **env: str) -> None:
        """Run `pip install`; `env`: additional environment variables."""
        options = ['--no-input', '--disable-pip-version-check', '--progress-bar', 'off']
        if not self.run([self.python, '-m', 'pip', 'install', *options, *args], **env):
            raise SetupError(self.explain('pip could not install it'))

    def check(self, code: str, *args: str) -> bool:
        """Whether Python code runs without an error in the environment."""
        return self.run([self.python, '-c', code, *args])

    def run(self, command: list, **env: str) -> bool:
        """Run a command with its output in the log and a sign of life every half minute."""
        begun = time.monotonic()
        with self.log.open('a') as log:
            print(f'\n$ {" ".join(map(str, command))}', file=log, flush=True)
            child = subprocess.Popen(
                command,
                cwd=self.root / 'tools',
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, 'PYTHONUNBUFFERED': '1', **env},
                # A killed set-up may leave pip running: pip keeps the lock until it ends.
                close_fds=False,
                start_new_session=True,
            )
            try:
                while True:
                    try:
                        return child.wait(timeout=HEARTBEAT_S) == 0
                    except subprocess.TimeoutExpired:
                        say(f'      still at it, {minutes(time.monotonic() - begun)}')
            finally:
                if child.returncode is None:  # we are being stopped
                    os.killpg(child.pid, signal.SIGTERM)  # pip and the compilers that it started
                    child.wait()

    def last_output(self) -> str:
        """What the last command wrote into the log."""
        return self.log.read_text(errors='replace').rpartition('\n$ ')[2]

    def explain(self, problem: str, advice: str = '') -> str:
        """The problem with the end of the log and the thing to do, from the log if known there."""
        output = self.last_output()
        known = [fix for text, fix in KNOWN_PROBLEMS.items() if re.search(text, output)]
        todo = [*known, advice, 'read the log, put it right and run the same command again']
        tail = '\n'.join(output.splitlines()[-15:])
        return (
            f'{problem}. The log ends with\n\n{tail}\n\n'
            f'Full log: {self.log.relative_to(self.root)}\nTo do: {next(filter(None, todo))}'
        )
