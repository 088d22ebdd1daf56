"""tools/train.py and tools/test.py as a user runs them."""

import argparse
import json
import subprocess
import sys

import pytest
import torch
from PIL import Image

from helpers.tools import ROOT, run_tool
from mmca.checkpoint import load_file
from mmca.config_walk import config_datasets
from mmca.engine.config import read_config

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@pytest.mark.parametrize(
    ('tool', 'options'),
    [('train', ('--resume', '--amp')), ('test', ('--show-dir', '--tta', '--out'))],
)
def test_help_answers_without_loading_torch(tool, options):
    script = (
        'import runpy, sys\n'
        f'sys.argv = ["tools/{tool}.py", "-h"]\n'
        'try:\n'
        '    runpy.run_path(sys.argv[0], run_name="__main__")\n'
        'finally:\n'
        '    print("loaded:", *sorted({"torch", "mmcv", "mmseg"} & set(sys.modules)))\n'
    )
    ended = subprocess.run(
        [sys.executable, '-c', script], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert ended.returncode == 0, ended.stderr
    for option in (*options, '--work-dir', '--data-root', '--cfg-options', '--launcher'):
        assert option in ended.stdout
    assert ended.stdout.endswith('loaded:\n')


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_an_unknown_config_is_one_line(tmp_path, tool):
    arguments = ['checkpoint.pth'] if tool == 'test' else []
    outcome = run_tool(tool, tmp_path / 'gone.py', *arguments)
    assert outcome.code == 1
    assert outcome.output == f'Error: {tmp_path}/gone.py: no such config; they are in configs/\n'


def arguments(config, **given) -> argparse.Namespace:
    defaults = dict(data_root=None, cfg_options={}, work_dir=None, launcher='none', local_rank=0)
    return argparse.Namespace(config=str(config), **{**defaults, **given})


@pytest.mark.parametrize(
    'given',
    [
        dict(data_root='/some/where'),
        dict(cfg_options={'data_root': '/some/where'}),
        dict(data_root='/some/where', cfg_options={'data_root': '/no/where'}),
    ],
    ids=['--data-root', '--cfg-options data_root=', 'both'],
)
@pytest.mark.input_fault(
    'Data folder',
    '`--data-root` for a config of several datasets',
    'all of them move',
)
def test_the_data_root_reaches_every_dataset(given):
    config = ROOT / 'configs' / 'deeplabv3_mbv2ca_voc.py'
    cfg = read_config(arguments(config, **given))
    roots = [(name, dataset['data_root']) for name, dataset in config_datasets(cfg, LOADERS)]
    assert roots == [
        ('train_dataloader', '/some/where'),  # VOC's own
        ('train_dataloader', '/some/where'),  # and the SBD masks
        ('val_dataloader', '/some/where'),
        ('test_dataloader', '/some/where'),
    ]
    assert cfg.data_root == '/some/where'


def test_cfg_options_override_and_the_work_dir_is_named_after_the_config(tiny_config):
    options = {'train_cfg.max_iters': 7, 'model.backbone.attention.reduction': 16}
    cfg = read_config(arguments(tiny_config, cfg_options=options))
    assert cfg.train_cfg.max_iters == 7
    assert cfg.model.backbone.attention == dict(type='mmca.CoordinateAttention', reduction=16)
    assert cfg.work_dir == 'work_dirs/tiny'
    assert read_config(arguments(tiny_config, work_dir='/else/where')).work_dir == '/else/where'


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='is about a machine without a GPU')
def test_a_run_without_a_gpu_says_once_what_it_dropped(tiny_config, tmp_path):
    options = ['--cfg-options', 'train_cfg.max_iters=2']
    outcome = run_tool('train', tiny_config, '--work-dir', tmp_path, '--amp', *options)
    assert outcome.code == 0, outcome.output
    note = (
        'No GPU found: batch norm is not synchronised, precision is float32 (no AMP: '
        '--amp-bfloat16 works on a CPU).'
    )
    assert outcome.output.count('No GPU found') == 1
    assert note in outcome.output
    [log] = tmp_path.glob('*/*.log')
    assert log.read_text().count(note) == 1
    assert (tmp_path / 'iter_2.pth').is_file()


@pytest.mark.slow
def test_testing_reproduces_the_validation_and_draws_each_picture(
    tiny_config, sample_voc, trained, tmp_path
):
    checkpoint = trained.work_dir / 'best_mIoU_iter_12.pth'
    out, drawn = tmp_path / 'deep' / 'out.json', tmp_path / 'drawn'
    outcome = run_tool(
        'test',
        tiny_config,
        checkpoint,
        '--work-dir',
        tmp_path / 'work',
        '--out',
        out,
        '--show-dir',
        drawn,
    )
    assert outcome.code == 0, outcome.output
    metrics = json.loads(out.read_text())
    assert {'mIoU', 'aAcc', 'mAcc'} <= set(metrics)
    # Training ended with the validation of these weights.
    assert f'mIoU: {metrics["mIoU"]:.4f}' in trained.output
    assert 0 < metrics['mIoU'] <= 100
    by_class = [value for name, value in metrics.items() if name.startswith('IoU.')]
    known = [value for value in by_class if value is not None]
    assert len(by_class) == 21 and sum(known) / len(known) == pytest.approx(
        metrics['mIoU'], abs=0.01
    )
    assert 'IoU.' not in trained.output

    names = (sample_voc / 'ImageSets' / 'Segmentation' / 'val.txt').read_text().split()
    pictures = sorted(drawn.rglob('*.png'))
    assert len(pictures) == len(names) == 8
    for name, picture in zip(names, pictures, strict=True):
        assert name in picture.name
        # The ground truth and the prediction side by side.
        assert Image.open(picture).size == (128, 64)


@pytest.mark.slow
def test_tta_averages_scales_and_flips(tiny_config, trained, tmp_path):
    # After 12 iterations all is background: make the logits vary, or nothing could differ.
    weights = load_file(trained.work_dir / 'iter_12.pth')['state_dict']
    weights['decode_head.conv_seg.weight'].normal_(generator=torch.Generator().manual_seed(0))
    for key in weights:
        if key.endswith('running_var'):
            weights[key] *= 0.1
    checkpoint = tmp_path / 'diverse.pth'
    torch.save({'state_dict': weights}, checkpoint)
    metrics = {}
    for name, flags in (('plain', []), ('tta', ['--tta'])):
        out = tmp_path / f'{name}.json'
        arguments = ['--work-dir', tmp_path / name, '--out', out, *flags]
        outcome = run_tool('test', tiny_config, checkpoint, *arguments)
        assert outcome.code == 0, outcome.output
        metrics[name] = json.loads(out.read_text())
    assert metrics['tta'].keys() == metrics['plain'].keys()
    assert metrics['tta'] != metrics['plain']


def test_a_flag_whose_settings_the_config_lacks_names_them(tiny_config, tmp_path):
    config = tmp_path / 'bare.py'
    config.write_text(f'_base_ = {str(tiny_config)!r}\ntta_model = None\n')
    outcome = run_tool('test', config, 'checkpoint.pth', '--tta')
    assert outcome.code == 1
    assert outcome.output == 'Error: --tta needs tta_model and tta_pipeline in the config\n'
    config.write_text(
        f'_base_ = {str(tiny_config)!r}\n'
        'default_hooks = dict(visualization=None)\n'
        'auto_scale_lr = dict(_delete_=True)\n'
    )
    outcome = run_tool('test', config, 'checkpoint.pth', '--show-dir', tmp_path)
    assert outcome.code == 1
    assert 'need default_hooks.visualization in the config' in outcome.output
    outcome = run_tool('train', config, '--auto-scale-lr', '--work-dir', tmp_path / 'work')
    assert outcome.code == 1
    assert 'needs auto_scale_lr.base_batch_size in the config' in outcome.output
