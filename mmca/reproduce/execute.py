"""Run steps one after another, with the progress of the whole."""

import ctypes
import fcntl
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .settings import ROOT
from .step import Step, StepError


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a folder against a second process that would train into it.

    Raises:
        StepError: If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StepError(
                f'{folder}: another reproduce.py is at work there; wait for it, or give another '
                '--work-dir'
            ) from None
        yield


def end_with_parent() -> None:
    """Have a child ended when this process is killed: never two trainings in one folder."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def duration(seconds: float) -> str:
    """Like 12 s, 7 min or 3.4 h."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 5400 else f'{seconds / 3600:.1f} h'


class Clock:
    """Estimates the time left from the steps of the same kind that have run."""

    def __init__(self, steps: list[Step]) -> None:
        self.waiting = list(steps)
        self.measured: dict[Hashable, list[float]] = {}

    def start(self, step: Step) -> None:
        self.waiting.remove(step)

    def record(self, step: Step, seconds: float, share: float = 1.0) -> None:
        """A step took so long for this share of it."""
        if share > 0:
            self.measured.setdefault(step.kind, []).append(seconds / share)

    def left(self, step: Step, seconds: float, share: float, done: float) -> str:
        """Time left in words: of the current step, of which ``share`` took ``seconds``, and after.

        ``done`` is the share before that, from an earlier run.
        """
        measured = {kind: sum(t) / len(t) for kind, t in self.measured.items()}
        if share > 0:
            measured.setdefault(step.kind, seconds / share)
        kinds = [other.kind for other in self.waiting]
        total = sum(measured.get(kind, 0) for kind in kinds)
        whole = seconds / share if share > 0 else measured.get(step.kind, 0)
        total += max(whole * (1 - done) - seconds, 0)
        if not total:
            return ''
        unknown = whole == 0 or any(kind not in measured for kind in kinds)
        return f', {"more than" if unknown else "about"} {duration(total)} left'


def execute(steps: list[Step], say: Callable[[str], None] = print) -> None:
    """Run the steps that are not done.

    Raises:
        StepError: If one cannot run or fails; what was done stays, and a second call goes on.
    """
    clock = Clock([step for step in steps if not step.is_done()])
    for number, step in enumerate(steps, start=1):
        head = f'[{number}/{len(steps)}] {step.title}'
        if step not in clock.waiting:
            say(f'{head}: done')
            continue
        clock.start(step)
        with lock(step.log().parent):
            _run(step, head, clock, say)


def _run(step: Step, head: str, clock: Clock, say: Callable[[str], None]) -> None:
    command = step.command()
    say(f'{head}\n    {shlex.join(command).replace(f"{ROOT}/", "")}')
    if command[0] == 'python':
        command = [sys.executable, *command[1:]]
    began, before = time.monotonic(), step.progress()
    with step.log().open('a') as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent
        )
        try:
            _wait(process, step, head, clock, before, say)
        finally:
            if process.poll() is None:  # interrupted
                process.terminate()
                process.wait()
    seconds = time.monotonic() - began
    if process.returncode:
        last = '\n'.join(f'    {line}' for line in step.log().read_text().splitlines()[-8:])
        raise StepError(
            f'{step.title}: exit status {process.returncode}. The end of {step.log()}:\n{last}\n'
            'The same command goes on from here when the cause is gone.'
        )
    step.finish(seconds)
    clock.record(step, seconds, 1 - before)


def _wait(process, step: Step, head: str, clock: Clock, before: float, say) -> None:
    """Until the process ends, say how far it is: in place on a terminal, else each minute."""
    terminal = sys.stdout.isatty()
    began = said = time.monotonic()
    while True:
        try:
            process.wait(1)
            break
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        if now - said < (2 if terminal else 60):
            continue
        said, share = now, step.progress()
        left = clock.left(step, now - began, share - before, before)
        text = f'{head}: {100 * share:.0f} %, {duration(now - began)}{left}'
        if terminal:
            print(f'\r\033[K{text}', end='', flush=True)
        else:
            say(text)
    if terminal:
        print('\r\033[K', end='')
