"""Whether a training that is killed again and again ends as if nothing had happened.

Draws a sample, trains a small segmentation model on it without interruption, and once more with
SIGKILLs at random moments: of the start, of loading data, of the iterations, of writing checkpoints
and of validation, in turn. After each, the same command goes on with --resume (without it while
there is no checkpoint yet, as its message says). In the end the two networks have to be equal bit
for bit, and so have the states of their optimizers.

Prints a line for each kill and a summary; the exit status is 0 if all went on to equal ends.
"""

import argparse
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
ITERATIONS_PER_KILL = 8
POLL = 0.02  # seconds
SAMPLE = 'sample/VOCdevkit/VOC2012'
CONFIG = """\
_base_ = {base!r}
model = dict(backbone=dict(widen_factor=0.25), decode_head=dict(in_channels=80, channels=16))
train_dataloader = dict(batch_size=4, num_workers=2)
val_dataloader = dict(batch_size=2, num_workers=1)
test_dataloader = val_dataloader
train_cfg = dict(max_iters={iterations}, val_interval=8)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end={iterations}, by_epoch=False)
]
default_hooks = dict(
    logger=dict(interval=1), checkpoint=dict(interval=4, max_keep_ckpts=2, save_best='mIoU')
)
"""
# Lines of the log, and what goes on after them.
START, LOADING, TRAINING, CHECKPOINT, VALIDATION = PHASES = (
    'start-up',
    'loading data',
    'iterations',
    'checkpoint',
    'validation',
)
MARKS = (
    ('Checkpoints will be saved to', LOADING),
    ('Iter(train)', TRAINING),
    ('Saving checkpoint at', CHECKPOINT),
    ('checkpoint with', CHECKPOINT),  # the best one
    ('Iter(val)', VALIDATION),
)
ITERATION = re.compile(r'Iter\(train\) +\[ *(\d+)/')


class Kill(NamedTuple):
    """One process and its end.

    Attributes:
        aimed: The phase that it was to be killed in.
        phase: The one that its log ends in.
        seconds: From its start to the signal.
        iteration: Last one that its log names.
        writing: Files that were being written.
        resumed: Iteration that it went on from; 0 if it began.
    """

    aimed: str
    phase: str
    seconds: float
    iteration: int
    writing: list[str]
    resumed: int


class Training:
    """A process of ``tools/train.py``, and what its log says."""

    def __init__(self, folder: Path, name: str) -> None:
        self.work_dir = work_dir = folder / name
        self.log = work_dir.with_suffix('.log')
        resume = ['--resume'] if list(work_dir.glob('iter_*.pth')) else []
        environment = {'OMP_NUM_THREADS': '1', **os.environ, 'PYTHONPATH': str(ROOT)}
        command = [sys.executable, ROOT / 'tools/train.py', folder / 'config.py', *resume]
        command += ['--work-dir', work_dir, '--data-root', folder / SAMPLE]
        self.began = time.monotonic()
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdout=log, stderr=subprocess.STDOUT, env=environment
            )

    def running(self) -> bool:
        return self.process.poll() is None

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def text(self) -> str:
        return self.log.read_text(errors='replace')

    def phase(self) -> str:
        marked = [phase for line in self.text().splitlines() if (phase := _phase_of(line))]
        return marked[-1] if marked else START

    def iterations(self) -> list[int]:
        """Those that the log names."""
        return [int(number) for number in ITERATION.findall(self.text())]

    def wait_for(self, phase: str, after: int) -> None:
        """Wait until its log is in a phase, after so many iterations of this process."""
        while self.running() and (self.phase() != phase or len(self.iterations()) < after):
            time.sleep(POLL)

    def kill(self, aimed: str) -> Kill:
        """Kill it.

        Raises:
            RuntimeError: If it had ended by itself.
        """
        seconds = self.seconds()
        self.process.send_signal(signal.SIGKILL)
        if self.process.wait() != -signal.SIGKILL:
            raise RuntimeError(f'ended before it was killed:\n{self.text()[-3000:]}')
        resumed = re.search(r'resumed epoch: \d+, iter: (\d+)', self.text())
        return Kill(
            aimed,
            self.phase(),
            round(seconds, 2),
            max(self.iterations(), default=0),
            sorted(path.name for path in self.work_dir.glob('.*.partial')),
            int(resumed[1]) if resumed else 0,
        )

    def end(self) -> None:
        """Wait for its end.

        Raises:
            RuntimeError: If it failed.
        """
        if self.process.wait():
            raise RuntimeError(f'exit status {self.process.returncode}:\n{self.text()[-3000:]}')


def _phase_of(line: str) -> str | None:
    return next((phase for mark, phase in MARKS if mark in line), None)


def train_whole(folder: Path) -> dict[str, float]:
    """Train without interruption; the median length of each phase in seconds."""
    training = Training(folder, 'whole')
    lengths: dict[str, list[float]] = defaultdict(list)
    phase, since = START, 0.0
    while training.running():
        time.sleep(POLL)
        if (now := training.phase()) != phase:
            seconds = training.seconds()
            lengths[phase].append(seconds - since)
            phase, since = now, seconds
    training.end()
    return {phase: statistics.median(lengths[phase] or [0.0]) for phase in PHASES}


def differing(first: Path, second: Path) -> list[str]:
    """Names of what two checkpoints do not have equal, bit for bit."""
    import torch

    from mmca.checkpoint import load_file

    def flat(value: object, name: str) -> dict[str, object]:
        if not isinstance(value, (dict, list, tuple)):
            return {name: value}
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, item in items for k, v in flat(item, f'{name}.{key}').items()}

    def content(path: Path) -> dict[str, object]:
        checkpoint = load_file(path)
        keys = 'state_dict', 'optimizer', 'param_schedulers'
        return {k: v for key in keys for k, v in flat(checkpoint[key], key).items()}

    one, other = content(first), content(second)

    def equal(a: object, b: object) -> bool:
        return torch.equal(a, b) if torch.is_tensor(a) and torch.is_tensor(b) else a == b

    return [k for k in sorted({*one, *other}) if k not in one or not equal(one[k], other.get(k))]


def measure(kills: int, seed: int, folder: Path) -> dict:
    """The whole experiment; see the module."""
    from mmca.sampledata import SampleSettings, generate

    generate(SampleSettings(train=48, val=16, size=128), folder / 'sample')
    iterations = kills * ITERATIONS_PER_KILL
    config = folder / 'config.py'
    config.write_text(
        CONFIG.format(
            base=str(ROOT / 'configs/deeplabv3_mbv2ca_sample.py'),
            iterations=iterations,
        )
    )
    print(f'Training {iterations} iterations without interruption ...', flush=True)
    lengths = train_whole(folder)
    print('  ' + ', '.join(f'{name} {length:.2f} s' for name, length in lengths.items()))

    rng = random.Random(seed)
    done = []
    aims = [PHASES[i % len(PHASES)] for i in range(kills)]
    rng.shuffle(aims)
    for number, aimed in enumerate(aims, 1):
        after = rng.randint(1, 6) if aimed in (TRAINING, CHECKPOINT, VALIDATION) else 0
        delay = rng.random() * lengths[aimed]
        training = Training(folder, 'killed')
        training.wait_for(aimed, after)
        time.sleep(delay)
        kill = training.kill(aimed)
        done.append(kill)
        begun = f'resumed at {kill.resumed}' if kill.resumed else 'not resumed'
        print(
            f'kill {number:2}: {kill.phase:12} after {kill.seconds:5.1f} s, {begun}, '
            f'iteration {kill.iteration}'
            + (f', while writing {", ".join(kill.writing)}' if kill.writing else ''),
            flush=True,
        )
    Training(folder, 'killed').end()
    last = f'iter_{iterations}.pth'
    return dict(
        kills=[kill._asdict() for kill in done],
        phases=Counter(kill.phase for kill in done),
        went_on=len(done),
        iterations=iterations,
        differing=differing(folder / 'whole' / last, folder / 'killed' / last),
    )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--kills', type=int, default=20, help='default: 20')
    parser.add_argument('--seed', type=int, default=0, help='of the moments; default: 0')
    parser.add_argument('--out', type=Path, help='JSON file of what happened')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = measure(args.kills, args.seed, Path(folder))
        except RuntimeError as error:
            raise SystemExit(f'Error: a training {error}') from None
    if args.out:
        args.out.write_text(json.dumps(result, indent=2) + '\n')
    phases = ', '.join(f'{count} in {phase}' for phase, count in result['phases'].items())
    print(f'{result["went_on"]} of {args.kills} killed trainings went on: {phases}')
    unequal = result['differing']
    compared = 'weights, optimizer and schedule equal the uninterrupted ones bit for bit'
    if unequal:
        compared = f'{len(unequal)} tensors and numbers differ, first {unequal[0]}'
    print(f'After {result["iterations"]} iterations: {compared}')
    raise SystemExit(bool(unequal))


if __name__ == '__main__':
    main()
