"""The catalogue against the paper, against the configs that it names, and against the README."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from mmengine.config import Config

from mmca.complexity.config import count_config, input_size
from mmca.tables import TABLES, UnknownRowError, all_rows, choose_rows, find_row, find_run, runs

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs'
# In the README, and in configs.
ATTENTIONS = {
    '': 'none',
    'SE': 'se',
    'squeeze-excitation': 'se',
    'CBAM': 'cbam',
    'CA': 'ca',
    'coordinate attention': 'ca',
    'mmca.SqueezeExcitation': 'se',
    'mmca.CBAM': 'cbam',
    'mmca.CoordinateAttention': 'ca',
    'mmca.ECA': 'eca',
    'mmca.TripletAttention': 'triplet',
    'mmca.SimAM': 'simam',
    'mmca.EMA': 'ema',
    'mmca.ELA': 'ela',
    'mmca.SCSA': 'scsa',
    'mmca.StripAttention': 'strip',
}
# What a row's attention says behind the hyphen, in configs.
VARIANTS = {
    'x': ('axes', 'w'),
    'y': ('axes', 'h'),
    'r12': ('reduction', 12),
    'r16': ('reduction', 16),
    'r24': ('reduction', 24),
    'relu': ('act_cfg', dict(type='ReLU')),
    'hswish': ('act_cfg', dict(type='HSwish')),
}


def published_rows():
    return [row for row in all_rows() if row.value is not None]


def test_every_published_row_of_every_table():
    assert Counter(row.table.name for row in published_rows()) == {
        'imagenet_mbv2': 4,
        'imagenet_mnext': 3,
        'coco_ssdlite320': 8,
        'voc07_ssdlite320': 4,
        'voc12_deeplabv3': 8,
        'cityscapes_deeplabv3': 4,
    }
    assert all(row.config for row in all_rows())


@pytest.mark.parametrize(
    ('config', 'attention', 'parameters', 'multiply_adds', 'metric', 'value'),
    [
        ('mbv2_imagenet', 'none', 3.5, 300, 'top1', 72.3),
        ('mbv2ca_imagenet', 'ca', 3.95, 310, 'top1', 74.3),
        ('mnextca_imagenet', 'ca', 4.09, 330, 'top1', 75.2),
        ('ssdlite320_mbv2ca_coco', 'ca', 4.8, None, 'AP', 24.5),
        ('ssdlite320_mnext_coco', 'none', 4.4, None, 'AP', 23.3),
        ('ssdlite320_mbv2ca_voc', 'ca', 4.8, None, 'mAP', 73.1),
        ('deeplabv3_mbv2se_voc', 'se', 4.9, None, 'mIoU', 71.69),
        ('deeplabv3_mbv2ca_voc_s8', 'ca', 5.0, None, 'mIoU', 73.96),
        ('deeplabv3_mbv2cbam_cityscapes_s8', 'cbam', 4.9, None, 'mIoU', 71.4),
    ],
)
def test_row_of_a_config(config, attention, parameters, multiply_adds, metric, value):
    row = find_row(config)
    assert row.config == config
    assert row.attention == attention
    assert (row.parameters, row.multiply_adds) == (parameters, multiply_adds)
    assert (row.metric.name, row.value) == (metric, value)


def test_both_places_of_the_attention_belong_to_one_row():
    assert find_row('mnextca_last_imagenet') == find_row('mnextca_imagenet')
    assert find_row('mnextse_last_imagenet') == find_row('mnextse_imagenet')


@pytest.mark.parametrize('config', ['mbv2_imagenet_w050', 'deeplabv3_mbv2ca_camvid'])
def test_nothing_was_published_for_it(config):
    row = find_row(config)
    assert (row.parameters, row.multiply_adds, row.value) == (None, None, None)


def test_every_config_but_the_samples_is_listed_once():
    names = [config for row in all_rows() for config in row.configs]
    there = {path.stem for path in CONFIGS.glob('*.py')}
    assert len(set(names)) == len(names)
    assert set(names) == {name for name in there if '_sample' not in name}
    assert {row.sample for row in all_rows() if row.sample} == there - set(names)
    assert find_row('') is None and find_row('mbv2_sample') is None


def backbone(config):
    """Type, width, attention with options, and output stride of a config's backbone."""
    model = Config.fromfile(CONFIGS / f'{config}.py').model.backbone
    return [model.get(key) for key in ('type', 'widen_factor', 'attention', 'output_stride')]


def test_columns_agree_with_the_configs():
    """The attention is built; pretraining and sample have the same backbone."""
    for row in all_rows():
        for config in row.configs:
            kind, width, attention, stride = backbone(config)
            name = row.backbone.partition('-')
            assert name[0] == kind.removeprefix('mmca.'), config
            size = name[2] if re.fullmatch(r'[\d.]+', name[2]) else 1  # and not B0 or A1
            assert float(size) == (width or 1), config
            named, _, variant = row.attention.partition('-')
            assert named == ATTENTIONS[attention.type if attention else ''], config
            if variant:
                option, value = VARIANTS[variant]
                assert attention[option] == value, config
            # Both strides of DeepLabV3 on VOC are rows of one table, and trained apart.
            if row.run.startswith('voc12_deeplabv3'):
                assert row.run == f'voc12_deeplabv3_s{stride}'
        if row.pretraining:
            start = backbone(row.pretraining.config)[:3]
            same = backbone(row.config)[:3]
            if Config.fromfile(CONFIGS / f'{row.config}.py').model.backbone.get('insert_attention'):
                same[2] = None  # the plain network's
            assert start == same, row.config
        if row.sample:
            assert backbone(row.sample) == backbone(row.config), row.config


@pytest.mark.parametrize(
    ('config', 'pretraining', 'on_sample'),
    [
        ('deeplabv3_mbv2ca_voc_s8', 'mbv2ca_imagenet', 'deeplabv3_mbv2ca_sample_s8'),
        ('deeplabv3_mbv2_cityscapes_s8', 'mbv2_imagenet', 'deeplabv3_mbv2_sample_s8'),
        ('ssdlite320_mnext_coco', 'mnext_imagenet', 'ssdlite320_mnext_sample'),
        ('ssdlite320_mbv2se_bccd', 'mbv2se_cifar10', ''),
        ('deeplabv3_mbv2ca_camvid', None, ''),
        ('deeplabv3_mbv2ca_camvid_from_imagenet', 'mbv2_imagenet', ''),
        ('mbv2ca_imagenet', None, 'mbv2ca_sample'),
    ],
)
def test_pretraining_and_sample_of_a_row(config, pretraining, on_sample):
    row = find_row(config)
    assert (row.pretraining and row.pretraining.config, row.sample) == (pretraining, on_sample)


def test_row_on_the_sample_starts_from_the_samples_classifier():
    row = find_row('ssdlite320_mbv2ca_coco').on_sample()
    assert (row.config, row.pretraining.config) == ('ssdlite320_mbv2ca_sample', 'mbv2ca_sample')
    assert row.metric.percent({'coco/bbox_mAP_50': 0.98765}) == 98.77
    assert row.value is None and row.attention == 'ca'


def test_tables_that_are_trained_together():
    tables = runs()
    assert list(tables) == [
        'imagenet_mbv2',
        'imagenet_mbv2_ablation',
        'imagenet_mbv2_widths',
        'imagenet_mnext',
        'imagenet_mnext_widths',
        'imagenet_effnet',
        'imagenet_others',
        'coco_ssdlite320',
        'voc07_ssdlite320',
        'voc12_deeplabv3_s16',
        'voc12_deeplabv3_s8',
        'cityscapes_deeplabv3_s8',
        'cifar10',
        'cifar10_from_imagenet',
        'cifar10_w050_30e',
        'attentions',
        'camvid_deeplabv3',
        'camvid_deeplabv3_from_imagenet',
        'bccd_ssdlite320',
        'bccd_ssdlite320_from_imagenet',
        'bccd_ssdlite320_small_priors',
    ]
    assert [row.config for row in tables['voc12_deeplabv3_s8']] == [
        f'deeplabv3_{backbone}_voc_s8' for backbone in ('mbv2', 'mbv2se', 'mbv2cbam', 'mbv2ca')
    ]
    trained = list(dict.fromkeys(row for rows in tables.values() for row in rows))
    assert [row for row in trained if row.value is not None] == published_rows()
    assert {row.table for row in trained} == set(TABLES)


def test_rows_that_stand_in_two_tables():
    ablation = [row.attention for row in find_run('imagenet_mbv2_ablation')]
    variants = ['ca-x', 'ca-y', 'ca-r24', 'ca-r16', 'se-r12', 'cbam-r12']
    assert ablation == ['none', 'se', 'cbam', 'ca', *variants]
    assert find_run('imagenet_mbv2_ablation')[:4] == find_run('imagenet_mbv2')


def test_all_attentions_and_two_activations_are_compared_on_one_backbone():
    rows = find_run('attentions')
    assert {row.attention for row in rows} == {*ATTENTIONS.values(), 'ca-relu', 'cbam-hswish'}
    assert len(rows) == 13
    assert all(row.sample and row.value is None for row in rows)
    assert {tuple(backbone(row.config)[:2]) for row in rows} == {('mmca.MobileNetV2', 0.5)}


def test_rows_are_chosen_by_config_or_attention():
    chosen = choose_rows('voc12_deeplabv3_s16', ['ca', 'deeplabv3_mbv2_voc'])
    assert [row.config for row in chosen] == ['deeplabv3_mbv2ca_voc', 'deeplabv3_mbv2_voc']
    assert len(choose_rows('coco_ssdlite320', None)) == 8
    [other] = choose_rows('imagenet_mnext', ['mnextca_last_imagenet'])
    assert (other.config, other.value) == ('mnextca_last_imagenet', 75.2)
    with pytest.raises(UnknownRowError, match='xy: no such row in cifar10; there are mbv2_'):
        choose_rows('cifar10', ['xy'])
    for row in ('cifar10', None), ('imagenet_mnext', ['mnextca_last_imagenet']):
        with pytest.raises(UnknownRowError, match='m[a-z0-9_]*: has no config on the sample'):
            choose_rows(*row, sample=True)


def test_needs_neither_torch_nor_the_libraries():
    """So that tools that only look a row up, or ``--help``, are quick."""
    code = (
        'import sys, types\n'
        'sys.modules["mmca"] = mmca = types.ModuleType("mmca")\n'
        f'mmca.__path__ = [{str(ROOT / "mmca")!r}]\n'
        'import mmca.tables, mmca.tables.render\n'
        'print(sorted({"torch", "mmengine", "mmcv", "numpy"} & set(sys.modules)))\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout == '[]\n', done.stderr


def readme_tables():
    """(header, rows) of each markdown table in the README."""
    table = []
    for line in [*ROOT.joinpath('README.md').read_text().splitlines(), '']:
        if line.startswith('|'):
            table.append([cell.strip() for cell in line.strip().strip('|').split('|')])
        elif table:
            yield table[0], table[2:]
            table = []


def readme_row(cells):
    """Backbone, without its width, and attention of a row in the README."""
    named = re.match(r'(MobileNetV2|MobileNeXt)[^+]*(?:\+ ([\w-]+(?: \w+)?))?', cells[0])
    assert named, f'no backbone in {cells}'
    return named[1], ATTENTIONS[named[2] or '']


def readme_cells(title):
    """(backbone and attention, cell) of each cell that is filled and whose column is so titled."""
    for header, rows in readme_tables():
        columns = [i for i, words in enumerate(header) if title in words]
        for cells in rows if columns else []:
            yield from ((readme_row(cells), cells[i]) for i in columns if cells[i])


def test_readme_quotes_the_published_numbers():
    """Each number in a "published" column is one of the rows' of that backbone and attention."""
    quoted = 0
    for (backbone, attention), cell in readme_cells('published'):
        known = {
            str(number)
            for row in published_rows()
            if row.backbone.partition('-')[0] == backbone and row.attention == attention
            for number in (row.parameters, row.multiply_adds, row.value)
        }
        for number in re.findall(r'\d+(?:\.\d+)?', cell):
            assert number in known, f'README: {number} in {cell}'
            quoted += 1
    assert quoted >= 12


def test_readme_quotes_the_computed_parameters():
    """They are the ImageNet classifier's at width 1."""
    quoted = list(readme_cells('computed'))
    for (backbone, attention), cell in quoted:
        row = next(
            row
            for row in all_rows()
            if row.table.name.startswith('imagenet_')
            and (row.backbone, row.attention) == (f'{backbone}-1.0', attention)
        )
        cfg = Config.fromfile(CONFIGS / f'{row.config}.py')
        assert cell == f'{count_config(cfg, *input_size(cfg)).parameters / 1e6:.3f}'
    assert len(quoted) >= 4


def test_readme_links_each_number_of_ours_to_its_record():
    quoted = list(readme_cells('ours'))
    for model, cell in quoted:
        # A mean leads to the report with the records of its seeds.
        if found := re.fullmatch(r'\[([\d.]+ ± [\d.]+)\]\((results/\S+\.md)\)', cell):
            lines = (ROOT / found[2]).read_text().splitlines()
            row = next(line for line in lines if line.startswith(f'| {model[0]} | {model[1]} |'))
            assert f'| {found[1]} (3 seeds) |' in row and '_seed_2.json)' in row, cell
            continue
        found = re.fullmatch(r'\[([\d.]+)\]\((results/\S+\.json)\)', cell)
        assert found, f'README: {cell} leads to no record'
        record = json.loads((ROOT / found[2]).read_text())
        assert found[1] == f'{record["value"]:.2f}'
        row = next(row for row in all_rows() if record['config'] in (row.config, row.sample))
        assert (row.backbone.partition('-')[0], row.attention) == model
    assert len(quoted) >= 4
