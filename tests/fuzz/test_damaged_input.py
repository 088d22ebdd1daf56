"""Whatever becomes of files: a step with a finite loss, or one error with a file's name."""

import gc
import math
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given, note

from helpers.damage import Damage, apply, damages
from helpers.fuzz_data import WRITERS, write_dataset
from helpers.tools import Outcome, run_tool

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module', params=WRITERS, ids=lambda kind: kind.replace(' ', '-'))
def valid(request, tmp_path_factory) -> Path:
    """A folder with valid ``data`` and a ``config.py`` that looks for it there."""
    folder = tmp_path_factory.mktemp('fuzz')
    write_dataset(request.param, folder / 'data', folder / 'config.py')
    shutil.copytree(folder / 'data', folder / 'whole')
    outcome = train(folder)
    assert outcome.code == 0, outcome.output
    assert verdict(outcome, set()) == ''
    gc.collect()
    gc.freeze()  # mmengine collects garbage for each dataset
    yield folder
    gc.unfreeze()


def train(folder: Path) -> Outcome:
    shutil.rmtree(folder / 'run', ignore_errors=True)
    with warnings.catch_warnings(), np.errstate(all='ignore'):
        warnings.simplefilter('ignore')
        return run_tool('train', folder / 'config.py', '--work-dir', folder / 'run')


def damage(folder: Path, found: list[Damage]) -> tuple[set[Path], list[str]]:
    """Restore the data and damage it; the files that differ, and what was done."""
    shutil.rmtree(folder / 'data')
    shutil.copytree(folder / 'whole', folder / 'data')
    words = [apply(item, folder / 'data') for item in found]
    before, after = contents(folder / 'whole'), contents(folder / 'data')
    names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    return {folder / 'data' / name for name in names}, words


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob('*') if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def verdict(outcome: Outcome, damaged: set[Path]) -> str:
    """What is wrong with the way a training ended; '' if nothing is."""
    errors = re.findall(r'^Error: .*', outcome.output, re.M | re.S)
    if outcome.code == 0:
        losses = re.findall(r'Iter\(train\).* loss: (\S+)', outcome.output)
        if not losses or not all(math.isfinite(float(loss)) for loss in losses):
            return f'losses {losses}'
        return '' if 'Iter(val)' in outcome.output else 'no validation'
    if 'Traceback' in outcome.output or len(errors) != 1:
        return 'no single error'
    names = [name for path in damaged for name in (path.name, f'/{path.stem}.')]
    # Where all files are gone, their folder is named.
    names += [str(folder) for path in damaged for folder in path.parents[:2]]
    return '' if any(name in errors[0] for name in names) else f'no name: {errors[0]}'


@given(found=damages())
@pytest.mark.input_fault(
    'Any of it',
    'annotations, lists, masks and images with random damages',
    'a step with a finite loss and a validation, or one error with the name of a file',
)
def test_damaged_files_are_trained_on_or_named(valid, found):
    damaged, words = damage(valid, found)
    note('\n'.join(words))
    outcome = train(valid)
    event('refused' if outcome.code else 'accepted')
    assert verdict(outcome, damaged) == '', '\n'.join(words) + '\n' + outcome.output[-3000:]
