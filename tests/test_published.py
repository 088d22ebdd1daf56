"""The published rows, and that whatever quotes them quotes them right."""

import re
from collections import Counter
from pathlib import Path

import pytest

from mmca.published import find_published, published_rows

ROOT = Path(__file__).parents[1]
ATTENTIONS = {
    '': 'none',
    'SE': 'se',
    'squeeze-excitation': 'se',
    'CBAM': 'cbam',
    'CA': 'ca',
    'coordinate attention': 'ca',
}


def test_every_row_of_every_table():
    assert Counter(row.table for row in published_rows()) == {
        'imagenet_mbv2': 4,
        'imagenet_mnext': 3,
        'coco_ssdlite320': 8,
        'voc07_ssdlite320': 4,
        'voc12_deeplabv3': 8,
        'cityscapes_deeplabv3': 4,
    }


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
    row = find_published(config)
    assert row.config == config
    assert row.attention == attention
    assert (row.parameters, row.multiply_adds) == (parameters, multiply_adds)
    assert (row.metric, row.value) == (metric, value)


def test_output_stride_is_in_the_name_of_the_config():
    strides = {row.config: row.output_stride for row in published_rows() if 'deeplab' in row.table}
    for config, stride in strides.items():
        assert stride == (8 if config.endswith('_s8') else 16)


def test_both_places_of_the_attention_belong_to_one_row():
    assert find_published('mnextca_last_imagenet') == find_published('mnextca_imagenet')
    assert find_published('mnextse_last_imagenet') == find_published('mnextse_imagenet')


@pytest.mark.parametrize('config', ['', 'mbv2_imagenet_w050', 'deeplabv3_mbv2ca_camvid'])
def test_nothing_was_published_for_it(config):
    assert find_published(config) is None


def test_named_configs():
    names = [name for row in published_rows() for name in (row.config, row.alternative) if name]
    assert len(set(names)) == len(names)
    there = {path.stem for path in ROOT.joinpath('configs').glob('*.py')}
    # Detection is to come.
    assert {name for name in names if not name.startswith('ssdlite320_')} <= there
    without = [row.backbone.split()[0] for row in published_rows() if not row.config]
    assert without == ['MobileNetV1', 'MobileNetV3', 'MnasNet-A1']


def readme_tables():
    """(header, rows) of each markdown table in the README."""
    table = []
    for line in [*ROOT.joinpath('README.md').read_text().splitlines(), '']:
        if line.startswith('|'):
            table.append([cell.strip() for cell in line.strip().strip('|').split('|')])
        elif table:
            yield table[0], table[2:]
            table = []


def test_readme_quotes_the_published_numbers():
    """Each number in a "published" column is one of the rows' of that backbone and attention."""
    quoted = 0
    for header, rows in readme_tables():
        columns = [i for i, title in enumerate(header) if 'published' in title]
        for cells in rows if columns else []:
            named = re.match(r'(MobileNetV2|MobileNeXt)[^+]*(?:\+ ([\w-]+(?: \w+)?))?', cells[0])
            assert named, f'no backbone in {cells}'
            known = {
                str(number)
                for row in published_rows()
                if row.backbone.partition('-')[0] == named[1]
                and row.attention == ATTENTIONS[named[2] or '']
                for number in (row.parameters, row.multiply_adds, row.value)
            }
            for number in (n for i in columns for n in re.findall(r'\d+(?:\.\d+)?', cells[i])):
                assert number in known, f'README: {number} in {cells}'
                quoted += 1
    assert quoted >= 12
