"""What CONTRIBUTING.md shows a newcomer works as it stands there."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from helpers.tools import ROOT


@pytest.mark.slow
def test_the_eighth_attention_is_one_file_and_one_line_of_a_config(tmp_path):
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    [diff] = re.findall(r'```diff\n(.*?)```', text, re.DOTALL)
    for folder in ('mmca', 'configs', 'tests'):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns('__pycache__')
        )
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    subprocess.run(['git', 'init', '-q', '.'], cwd=tmp_path, check=True)
    subprocess.run(['git', 'apply', '-'], input=diff, text=True, cwd=tmp_path, check=True)

    environment = {**os.environ, 'PYTHONPATH': f'{tmp_path}:{tmp_path / "tests"}'}

    def run(*command):
        options = dict(cwd=tmp_path, env=environment, capture_output=True, text=True)
        outcome = subprocess.run([sys.executable, *command], **options)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return outcome.stdout

    contract = 'tests/models/test_attention_contract.py'
    tests = run(
        '-m',
        'pytest',
        contract,
        '-k',
        'PixelGate and not compile',
        '-q',
        '-p',
        'no:cacheprovider',
        '-rA',
    )
    assert tests.count('PASSED') >= 17
    code = (
        'from mmengine.config import Config; from mmca.registry import MODELS\n'
        "model = Config.fromfile('configs/mbv2pixel_sample.py').model.backbone\n"
        'print(MODELS.build(model).layer2[0].attention)'
    )
    assert '(conv_pixel): Conv2d(24, 1' in run('-c', code)
