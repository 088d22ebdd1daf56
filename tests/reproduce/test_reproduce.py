"""``tools/reproduce.py``: the plan of a table, real runs of tiny configs, records and reports."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers import preloaded
from helpers.tools import CONFIG, run_tool
from mmca.errors import UserError
from mmca.reproduce import records
from mmca.reproduce.execute import Clock, lock
from mmca.reproduce.plan import plan
from mmca.reproduce.report import Entry, conclusion
from mmca.reproduce.settings import Settings
from mmca.reproduce.step import StepError
from mmca.reproduce.steps import Evaluate, Train
from mmca.tables import choose_rows, find_row

ROOT = Path(__file__).parents[2]


def test_plan_pretrains_each_backbone_once_and_takes_given_checkpoints(tmp_path):
    rows = choose_rows('voc12_deeplabv3_s16', ['none', 'ca'])
    given = {'mbv2_imagenet': tmp_path / 'mbv2.pth'}
    shared = dict(work=tmp_path, results=tmp_path / 'results', seeds=2, pretrained=given)
    steps = list(plan(rows, Settings(**shared)))
    told = [re.sub('deeplabv3_|_voc', '', step.title) for step in steps]
    both = [f'{what} mbv2, seed {seed}' for seed in (0, 1) for what in ('train', 'test')]
    ca = [step.replace('mbv2', 'mbv2ca') for step in both]
    assert told == [*both, 'train mbv2ca_imagenet, seed 0', *ca]


def test_sample_is_drawn_before_it_is_needed(tmp_path):
    rows = choose_rows('coco_ssdlite320', ['ca'], sample=True)
    steps = list(plan(rows, Settings(scale='sample_hard', work=tmp_path, results=tmp_path)))
    assert [step.title for step in steps] == [
        'draw the sample for classifier',
        'train mbv2ca_sample, seed 0',
        'draw the sample for SSDLite320',
        'train ssdlite320_mbv2ca_sample, seed 0',
        'test ssdlite320_mbv2ca_sample, seed 0',
    ]
    command = ' '.join(steps[2].command())
    assert command.endswith('--difficulty hard --layout coco --out data/sample_hard_coco')


def test_launchers_are_the_scripts_of_the_project(tmp_path):
    row = choose_rows('cifar10', ['mbv2_cifar10'])[0]
    (tmp_path / 'cifar10').mkdir()
    shared = dict(work=tmp_path, results=tmp_path, data=tmp_path)
    for options, script in (
        (dict(launcher='pytorch', gpus=4), r'tools/dist_train\.sh \S+/mbv2_cifar10\.py 4 '),
        (
            dict(launcher='slurm', partition='gpu'),
            r'tools/slurm_train\.sh gpu mbv2_cifar10 \S+/mbv2_cifar10\.py ',
        ),
    ):
        command = ' '.join(Train(row, 0, Settings(**shared, **options)).command())
        assert re.match(r'bash \S*' + script + r'--work-dir ', command), command


def entry(*values, config='a'):
    row = find_row('mbv2ca_cifar10').with_config(config)
    return Entry(row, {seed: {'value': value} for seed, value in enumerate(values)})


def test_report_concludes_no_more_than_the_seeds_carry():
    assert conclusion([entry()]) == 'Nothing is trained yet.'
    assert 'nothing to compare it with' in conclusion([entry(70.0, 71.0, 72.0), entry()])
    assert 'say nothing' in conclusion([entry(90.0), entry(50.0, config='b')])
    overlap = [entry(70.0, 71.0, 72.0), entry(71.5, 74.0, 75.0, config='b')]
    assert 'no difference between rows is shown' in conclusion(overlap)
    apart = [entry(70.0, 71.0, 72.0), entry(72.5, 74.0, 75.0, config='b')]
    assert 'Apart in every seed: b above a.' in conclusion(apart)
    # 20 orders of three and three seeds, of which 2 have the rows apart.
    equal = [entry(80.0, 81.0, 82.0, config=name) for name in 'cdef']
    assert '1.5 of the 15 pairs would be apart by chance' in conclusion([*apart, *equal])


def test_trained_figure_has_a_spread_from_two_seeds_on():
    assert entry(70.0).trained == '70.00'
    assert entry(70.0, 71.0, 72.0).trained == '71.00 ± 1.00 (3 seeds)'


def test_estimate_of_the_time_left(tmp_path):
    row = choose_rows('camvid_deeplabv3', ['ca'])[0]
    run = [Train(row, seed, Settings(work=tmp_path)) for seed in range(3)]
    clock = Clock(run)
    clock.start(run[0])
    # A quarter in 100 s: 300 s are left of this, 400 s for each of the others.
    assert clock.left(run[0], 100, 0.25, 0) == ', about 18 min left'
    clock.record(run[0], 400)
    clock.start(run[1])
    # Resumed at one half: 200 s of 400 s for the rest of it.
    assert clock.left(run[1], 100, 0.25, 0.5) == ', about 8 min left'
    assert Clock([Evaluate(run[0]), *run]).left(run[0], 1, 0, 0) == ''


def test_list_shows_published_and_computed_figures():
    outcome = run_tool('reproduce', 'list', 'imagenet_mnext')
    assert outcome.code == 0, outcome.output
    line = next(x for x in outcome.output.splitlines() if x.startswith('mnextca_imagenet'))
    assert line.split() == ['mnextca_imagenet', '4.09', '4.108', '330', '317.8', '75.2']
    assert 'python tools/reproduce.py run imagenet_mnext --row CONFIG' in outcome.output


def test_wrong_names_are_answered(tmp_path):
    outcome = run_tool('reproduce', 'run', 'voc12')
    assert outcome.code == 1 and 'Error: voc12: no such table; there are imagenet_mbv2' in (
        outcome.output
    )
    outcome = run_tool('reproduce', 'run', 'cifar10', '--pretrained', 'mbv2=no.pth')
    assert outcome.code == 2 and 'is not CONFIG=CHECKPOINT' in outcome.output
    outcome = run_tool('reproduce', 'report', '--results', tmp_path)
    assert outcome.code == 1 and 'python tools/reproduce.py run TABLE' in outcome.output


def test_missing_data_is_reported_with_the_command_that_fetches_it(tmp_path):
    where = ['--data', tmp_path / 'none', '--work-dir', tmp_path, '--results', tmp_path]
    outcome = run_tool('reproduce', 'run', 'cifar10', '--row', 'mbv2_cifar10', *where)
    assert outcome.code == 1
    fetch = f'python tools/prepare_data.py cifar10 --data-root {tmp_path}/none'
    assert f'get it with `{fetch}`' in outcome.output
    assert f'wants {tmp_path}/none/cifar10' in outcome.output


def tiny_project(root: Path, sample_voc: Path) -> list[str]:
    """A script that runs reproduce.py with tiny configs in place of CamVid's."""
    configs = root / 'configs'
    configs.mkdir()
    base = str(ROOT / 'configs/deeplabv3_mbv2_sample.py')
    content = CONFIG.format(base=base, data_root='data/tiny').replace('interval=4', 'interval=2')
    for backbone in ('mbv2', 'mbv2se', 'mbv2cbam', 'mbv2ca'):
        (configs / f'deeplabv3_{backbone}_camvid.py').write_text(content)
    (root / 'data').mkdir()
    (root / 'data/tiny').symlink_to(sample_voc)
    script = root / 'reproduce.py'
    script.write_text(
        'import pathlib, runpy, sys\n'
        f'sys.path.insert(0, {str(ROOT / "tools")!r})\n'
        'from mmca.reproduce import records, report, settings, steps\n'
        f'path = lambda name: pathlib.Path({str(configs)!r}, name + ".py")\n'
        'for module in (records, report, settings, steps):\n'
        '    module.config_path = path\n'
        f'runpy.run_path({str(ROOT / "tools/reproduce.py")!r}, run_name="__main__")\n'
    )
    return [preloaded.python(), str(script)]


def run_project(command: list[str], *arguments: str) -> SimpleNamespace:
    folder = Path(command[1]).parent
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True)
    return SimpleNamespace(code=done.returncode, output=done.stdout + done.stderr)


@pytest.mark.slow
def test_killed_run_goes_on_and_reports(sample_voc, tmp_path):
    """Killed in the middle, the same command resumes, tests, records and draws."""
    command = tiny_project(tmp_path, sample_voc)
    wanted = ['run', 'camvid_deeplabv3', '--row', 'none']
    work = tmp_path / 'work_dirs/reproduce/full/deeplabv3_mbv2_camvid/seed_0'
    killed = subprocess.Popen([*command, *wanted], cwd=tmp_path, stdout=subprocess.DEVNULL)
    while not list(work.glob('iter_*.pth')):
        assert killed.poll() is None
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (work / 'iter_12.pth').exists()
    # Its training ends with it: the lock and the folder are free.
    outcome = run_project(command, *wanted)
    assert outcome.code == 0, outcome.output
    assert '--resume' in outcome.output
    assert re.search(r'Load checkpoint from .*/iter_\d+\.pth', (work / 'train.log').read_text())

    record = json.loads((tmp_path / 'results/runs/deeplabv3_mbv2_camvid_seed_0.json').read_text())
    assert record['value'] == round(record['metrics']['mIoU'], 2)
    assert record['curve'] and record['curve'][-1][0] == 12
    assert '(camvid_deeplabv3_curves.png)' in (tmp_path / 'results/camvid_deeplabv3.md').read_text()
    assert (
        'Made by `python tools/reproduce.py run camvid_deeplabv3`'
        in (tmp_path / 'results/camvid_deeplabv3.md').read_text()
    )
    assert record['checkpoint_sha256'] == records.file_hash(work / 'iter_12.pth')
    assert record['parts'] == 2 and record['seed'] == 0 and len(record['config_sha256']) == 64
    assert re.fullmatch('[0-9a-f]{40}|None', str(record['source']['commit']))
    assert {'torch', 'python'} < set(record['versions']) and record['machine']['cores']

    page = (tmp_path / 'results/camvid_deeplabv3.md').read_text()
    link = f'| {record["value"]:.2f} | [0](runs/deeplabv3_mbv2_camvid_seed_0.json) |'
    assert link in page and 'say nothing about the attention' in page
    assert (tmp_path / 'results/camvid_deeplabv3.png').stat().st_size > 5000

    again = run_project(command, *wanted)
    assert again.code == 0 and again.output.count(': done') == 1  # the record is enough

    # Another config under the same name: never mixed with the old run.
    config = tmp_path / 'configs/deeplabv3_mbv2_camvid.py'
    config.write_text(config.read_text() + 'log_level = "WARNING"\n')
    refused = run_project(command, *wanted)
    assert refused.code == 1 and 'was begun with another config_sha256' in refused.output
    assert 'Move the folder away' in refused.output


def test_damaged_record_is_named(tmp_path):
    path = tmp_path / 'x_seed_0.json'
    path.write_text('{"value": ')
    with pytest.raises(UserError, match=f'{path}: damaged record'):
        records.read_record(path)


def test_a_second_process_is_refused(tmp_path):
    with lock(tmp_path):
        pid = os.fork()
        if not pid:
            try:
                with lock(tmp_path):
                    os._exit(0)
            except StepError as error:
                os._exit(7 if 'another reproduce.py is at work' in str(error) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_reporting_does_not_load_matplotlib():
    """It takes seconds, and needs a folder for its cache."""
    code = (
        'import sys; from mmca.reproduce import execute, listing, plan\n'
        'print("matplotlib" in sys.modules)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.endswith('False\n'), done.stdout + done.stderr
