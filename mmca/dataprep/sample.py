"""The synthetic sample, see :mod:`mmca.sampledata`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..sampledata.generate import generate, read_state
from ..sampledata.layouts import LAYOUTS
from ..sampledata.layouts.voc2012 import train_without_aug
from ..sampledata.scene import DIFFICULTIES
from ..sampledata.settings import SampleSettings
from .common import PrepareError
from .voc2012 import verify

HELP = 'synthetic scenes with exact masks and boxes'


def add_options(parser: ArgumentParser) -> None:
    """Add the options of the ``sample`` subcommand."""
    default = SampleSettings()
    parser.add_argument('--layout', choices=LAYOUTS, default='voc2012')
    parser.add_argument('--difficulty', choices=DIFFICULTIES, default=default.difficulty)
    parser.add_argument('--seed', type=int, default=default.seed)
    parser.add_argument('--train', type=int, default=default.train, help='training scenes')
    parser.add_argument('--val', type=int, default=default.val, help='validation scenes')
    parser.add_argument('--size', type=int, default=default.size, help='side in pixels')
    parser.add_argument('--out', type=Path, help='default: <data root>/sample_<difficulty>')


def _root(options: Namespace) -> Path:
    return options.out or options.data_root / f'sample_{options.difficulty}'


def prepare(options: Namespace) -> None:
    """Write the sample unless it is there already, then verify it."""
    try:
        settings = SampleSettings(
            options.difficulty, options.seed, options.train, options.val, options.size
        )
    except ValueError as error:
        raise PrepareError(f'--{error}') from None
    root = _root(options)
    if not generate(settings, root, options.layout):
        print(f'{root}: already there')
    check(options)


def check(options: Namespace) -> None:
    """Verify the sample in the output folder."""
    root = _root(options)
    state = read_state(root)
    if state is None or not state['complete']:
        raise PrepareError(f'{root} holds no complete sample; run: {options.command}')
    settings = state['settings']
    _VERIFIERS[settings['layout']](root, settings, options.command)


def _verify_voc2012(root: Path, settings: dict, command: str) -> None:
    n_train = train_without_aug(settings['train'])
    expected = {'train': n_train, 'aug': settings['train'] - n_train, 'val': settings['val']}
    verify(root / 'VOCdevkit' / 'VOC2012', expected, f'rm -r {root} && {command}')


_VERIFIERS = {'voc2012': _verify_voc2012}
