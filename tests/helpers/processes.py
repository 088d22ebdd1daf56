"""Scripts of ``tools/`` in processes of their own."""

import os
import socket
import subprocess
from pathlib import Path

from helpers import preloaded
from helpers.tools import ROOT, Outcome


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Job:
    """A script of ``tools/`` that runs in the background and writes to a file.

    Its interpreters are ``python``, and have the libraries loaded by default.
    """

    def __init__(
        self,
        log: Path,
        script: str,
        *arguments: object,
        python: str | None = None,
        **variables: object,
    ) -> None:
        python = python or preloaded.python()
        environment = {**os.environ, 'PORT': free_port(), **variables}
        environment['PYTHONPATH'] = f'{ROOT}:{ROOT / "tests"}'
        environment['PATH'] = f'{Path(python).parent}:{environment["PATH"]}'
        environment['PYTHON_EXEC'] = python  # what torchrun starts
        shell = 'bash' if script.endswith('.sh') else python
        self.log = log
        with log.open('w') as output:
            self.process = subprocess.Popen(
                [shell, str(ROOT / 'tools' / script), *map(str, arguments)],
                env={name: str(value) for name, value in environment.items()},
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def end(self) -> Outcome:
        """Wait for it; one that hangs is stopped after five minutes and is an error."""
        try:
            return Outcome(self.process.wait(timeout=300), self.log.read_text())
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait(timeout=60)
            raise AssertionError(f'it hangs: {self.log.read_text()}') from None


def run_script(log: Path, script: str, *arguments: object, **options: object) -> Outcome:
    return Job(log, script, *arguments, **options).end()
