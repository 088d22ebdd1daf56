"""The synthetic sample, see :mod:`mmca.sampledata`."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..sampledata.classes import VOC_CLASSES
from ..sampledata.generate import generate, read_state
from ..sampledata.layouts import LAYOUTS, imagenet
from ..sampledata.layouts.voc2012 import train_without_aug
from ..sampledata.scene import DIFFICULTIES
from ..sampledata.settings import SampleSettings
from . import coco, voc
from .common import PrepareError
from .image_folder import verify_image_folder
from .verify import report
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
    parser.add_argument(
        '--out',
        type=Path,
        help='default: <data root>/sample_<difficulty>, with _<layout> unless that is voc2012',
    )


def _root(options: Namespace) -> Path:
    suffix = '' if options.layout == 'voc2012' else f'_{options.layout}'
    return options.out or options.data_root / f'sample_{options.difficulty}{suffix}'


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


def _verify_imagenet(root: Path, settings: dict, command: str) -> None:
    images = [
        imagenet.image_path(root, settings['seed'], split, index)
        for split in ('train', 'val')
        for index in range(settings[split])
    ]
    problems = verify_image_folder(root, ('train', 'val'), images, settings['size'])
    report(
        root,
        problems,
        f'Then, if images are missing or damaged, run: rm -r {shlex.quote(str(root))} && {command}',
        lambda: f'{settings["train"]} train, {settings["val"]} val, {len(VOC_CLASSES)} classes',
    )


def _verify_coco(root: Path, settings: dict, command: str) -> None:
    expected = {f'{split}2017': settings[split] for split in ('train', 'val')}
    coco.verify(root, expected, VOC_CLASSES, f'rm -r {shlex.quote(str(root))} && {command}')


def _verify_voc2007(root: Path, settings: dict, command: str) -> None:
    folder = root / 'VOCdevkit' / 'VOC2007'
    expected = {folder: {'trainval': settings['train'], 'test': settings['val']}}
    voc.verify(folder, expected, VOC_CLASSES, f'rm -r {shlex.quote(str(root))} && {command}')


_VERIFIERS = {
    'voc2012': _verify_voc2012,
    'imagenet': _verify_imagenet,
    'coco': _verify_coco,
    'voc2007': _verify_voc2007,
}
