"""benchmarks/predict.py as a user runs it; never how fast anything is."""

import os
import re
import subprocess

import pytest

from helpers import preloaded
from helpers.tools import ROOT


@pytest.mark.slow
def test_both_ways_are_timed(cases):
    case = cases['segmentation']
    words = [case.config, case.checkpoint, '--images', case.images, '--rounds', 1]
    done = subprocess.run(
        [preloaded.python(), ROOT / 'benchmarks/predict.py', *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {'PYTHONPATH': str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r'^(.+): [\d.]+ images/s \([\d.]+ to [\d.]+\)$', done.stdout, re.M) == [
        'one by one',
        'folder',
    ]
