"""The counter against counts by hand, and the tool against the published tables' columns."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers.tools import run_tool
from mmca.complexity import UncountedOperationError, count_complexity
from mmca.models.attention import CoordinateAttention

CONFIGS = Path(__file__).parents[2] / 'configs'

# Parameters and multiply-adds in millions, as computed from the authors' definitions;
# None: not known from elsewhere.
REFERENCE = {
    'mbv2_imagenet': (3.505, 300.8),
    'mbv2se_imagenet': (3.888, 301.2),
    'mbv2cbam_imagenet': (3.890, 302.5),
    'mbv2ca_imagenet': (3.951, 306.7),
    'mbv2_imagenet_w075': (2.636, 209),
    'mbv2se_imagenet_w075': (2.855, 209),
    # The reference prints 211; by hand 210,495,232.
    'mbv2cbam_imagenet_w075': (2.857, 210.5),
    'mbv2ca_imagenet_w075': (2.892, 213),
    'mbv2_imagenet_w050': (1.969, 97),
    'mbv2se_imagenet_w050': (2.067, 97),
    'mbv2cbam_imagenet_w050': (2.069, 98),
    'mbv2ca_imagenet_w050': (2.096, 99),
    'mbv2ca_r16_imagenet': (4.367, 311.8),
    'mbv2ca_x_imagenet': (3.891, None),
    'mbv2ca_y_imagenet': (3.891, None),
    'mnext_imagenet': (3.535, 311.3),
    # The reference prints 3.913, cut off: 3,535,416 and, by hand, 378,141 of the attentions.
    'mnextse_imagenet': (3.914, None),
    'mnextca_imagenet': (4.108, None),
    'mnextse_last_imagenet': (3.896, None),
    'mnextca_last_imagenet': (4.088, None),
    'deeplabv3_mbv2_voc': (4.524, None),
    'deeplabv3_mbv2ca_voc': (4.969, None),
}


class Calls(nn.Module):
    """A model without parameters, made of a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def cells(output, markdown=False):
    """Rows of the printed table by config, each with its other cells by column."""
    lines = [line for line in output.splitlines() if re.search(r'M-Adds|\d+x\d+', line)]
    if markdown:
        table = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
        header, *rows = table
        return {row[0]: dict(zip(header[1:], row[1:])) for row in rows}
    return {line.split()[0]: line.split()[1:] for line in lines[1:]}


def test_layers_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),  # 5x4 outputs
        nn.BatchNorm2d(8),
        nn.ReLU6(inplace=True),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False),
        nn.Hardswish(),
        nn.ConvTranspose2d(8, 2, 2, stride=2),  # 10x8 outputs, one weight on each
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 7),
    )
    counts = count_complexity(model, 9, 8)
    parameters = (3 * 8 * 9 + 8) + 2 * 8 + 8 * 9 + (8 * 2 * 4 + 2) + (2 * 7 + 7)
    assert counts.parameters == parameters
    transposed = 10 * 8 * 8 * 2
    assert counts.multiply_adds == 20 * 8 * 3 * 9 + 20 * 8 * 9 + transposed + 2 * 7
    assert counts.other_operations == 20 * 8 + 20 * 8 + 10 * 8 * 2


@pytest.mark.parametrize(
    ('function', 'operations'),
    [
        (lambda x: F.adaptive_avg_pool2d(x, (6, 1)), 72),
        (lambda x: F.adaptive_max_pool2d(x, 1), 72),
        (lambda x: x.mean(dim=1, keepdim=True), 72),
        (lambda x: torch.cat([x.sum(dim=2), x.amax(dim=2)]), 2 * 72),
        (lambda x: F.avg_pool2d(x, 2), 18 * 4),
        (lambda x: F.max_pool2d(x, 3, stride=1), 3 * 4 * 2 * 9),
        (lambda x: F.interpolate(x, scale_factor=2, mode='bilinear'), 4 * 72 * 4),
        (lambda x: x * torch.sigmoid(x), 2 * 72),
        (lambda x: x.clone().add_(x).mul_(2).relu_(), 3 * 72),
        (lambda x: F.hardsigmoid(x, inplace=True).exp(), 2 * 72),
        (lambda x: x.permute(0, 2, 3, 1).contiguous().reshape(-1).split(10), 0),
    ],
)
def test_functional_calls_are_seen(function, operations):
    counts = count_complexity(Calls(function), 6, 4)  # 3 * 6 * 4 = 72 elements
    assert counts == (0, 0, operations)


def test_inside_of_an_autograd_function_is_seen():
    class Gate(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            return x * torch.sigmoid(F.conv2d(x.mean(dim=(2, 3), keepdim=True), weight))

    class Fused(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3, 3, 1, 1))

        def forward(self, x):
            return Gate.apply(x, self.weight)

    assert count_complexity(Fused(), 6, 4) == (9, 9, 72 + 3 + 72)


def test_coordinate_attention_by_hand():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = CoordinateAttention(3, reduction=1, min_channels=8)

        def forward(self, x):
            return self.attention(x)

    height, width = 6, 4
    counts = count_complexity(Model(), height, width)
    assert counts.multiply_adds == 2 * (height + width) * 3 * 8
    pools, gates, products = 2 * 72, (height + width) * 3, 2 * 72
    assert counts.other_operations == pools + (height + width) * 8 + gates + products


def test_unknown_operator_is_not_free():
    library = torch.library.Library('mmca_test', 'DEF')
    library.define('fused_gate(Tensor x) -> Tensor')
    library.impl('fused_gate', lambda x: x.sigmoid(), 'CompositeExplicitAutograd')
    model = Calls(lambda x: torch.ops.mmca_test.fused_gate(x).relu())
    with pytest.raises(
        UncountedOperationError, match=r'cost of mmca_test\.fused_gate is not known'
    ):
        count_complexity(model, 6, 4)


def test_device_meta_counts_the_same():
    from torchvision.models import mobilenet_v2

    model = mobilenet_v2()
    model.train()
    on_cpu = count_complexity(model, 96, 64)
    assert on_cpu == count_complexity(model.to('meta'), 96, 64)


@pytest.fixture(scope='module')
def reference_rows():
    outcome = run_tool('complexity', '--markdown', *(CONFIGS / f'{c}.py' for c in REFERENCE))
    assert outcome.code == 0, outcome.output
    return cells(outcome.output, markdown=True)


@pytest.mark.slow
@pytest.mark.parametrize('config', REFERENCE)
def test_computed_columns(reference_rows, config):
    parameters, multiply_adds = REFERENCE[config]
    row = reference_rows[config]
    assert row['input'] == ('512x512' if 'voc' in config else '224x224')
    assert row['params (M)'] == f'{parameters:.3f}'
    if isinstance(multiply_adds, float):
        assert row['M-Adds (M)'] == str(multiply_adds)
    elif multiply_adds is not None:
        assert round(float(row['M-Adds (M)'])) == multiply_adds


@pytest.mark.slow
@pytest.mark.parametrize(
    ('config', 'parameters', 'multiply_adds'),
    [
        ('mbv2_imagenet', '3.5', '300'),
        ('mbv2ca_imagenet', '3.95', '310'),
        ('mnextca_imagenet', '4.09', '330'),
        ('mnextca_last_imagenet', '4.09', '330'),
        ('mbv2ca_imagenet_w050', '', ''),
        ('mbv2ca_r16_imagenet', '', ''),
        ('deeplabv3_mbv2ca_voc', '5.0', ''),
    ],
)
def test_published_columns(reference_rows, config, parameters, multiply_adds):
    row = reference_rows[config]
    assert row['published params (M)'] == parameters
    assert row['published M-Adds (M)'] == multiply_adds


@pytest.mark.slow
def test_default_is_every_config_of_a_published_table():
    outcome = run_tool('complexity', '--markdown', '--shape', '32', '48')
    assert outcome.code == 0, outcome.output
    rows = cells(outcome.output, markdown=True)
    imagenet = {f'mbv2{a}_imagenet' for a in ('', 'se', 'cbam', 'ca')}
    imagenet |= {f'mnext{a}_imagenet' for a in ('', 'se', 'ca', 'se_last', 'ca_last')}
    assert {name for name in rows if 'imagenet' in name} == imagenet
    deeplab = [name for name in rows if name.startswith('deeplabv3_')]
    assert len(deeplab) == 12
    assert all(name.endswith(('_voc', '_voc_s8', '_cityscapes_s8')) for name in deeplab)
    assert {row['input'] for row in rows.values()} == {'32x48'}
    assert all(row['published params (M)'] for row in rows.values())
    # They were published at 224x224.
    assert not any(row['published M-Adds (M)'] for row in rows.values())


def test_text_table_of_one_config():
    outcome = run_tool('complexity', CONFIGS / 'mbv2ca_imagenet.py')
    assert outcome.code == 0
    row = cells(outcome.output)['mbv2ca_imagenet']
    # 7.8 M other operations above plain MobileNetV2: the attention's cost that M-Adds leave out.
    assert row == ['224x224', '3.951', '3.95', '306.7', '310', '14.2']


def test_input_size_of_the_config():
    names = ('mbv2_cifar10', 'deeplabv3_mbv2_camvid', 'deeplabv3_mbv2_cityscapes')
    outcome = run_tool('complexity', *(CONFIGS / f'{name}.py' for name in names))
    rows = cells(outcome.output)
    assert [rows[name][0] for name in names] == ['64x64', '256x256', '768x768']


def test_what_fails_is_named_and_the_rest_is_counted(tmp_path):
    (tmp_path / 'odd.py').write_text(
        f"_base_ = '{CONFIGS}/mbv2_imagenet.py'\nmodel = dict(head=dict(in_channels=7))\n"
    )
    (tmp_path / 'empty.py').write_text('log_level = 1\n')
    paths = tmp_path / 'no.py', tmp_path / 'odd.py', tmp_path / 'empty.py'
    outcome = run_tool('complexity', *paths, CONFIGS / 'mbv2_imagenet.py')
    assert outcome.code == 1
    assert list(cells(outcome.output)) == ['mbv2_imagenet']
    missing, odd, empty = outcome.output.splitlines()[-3:]
    assert missing == f'Error: {paths[0]}: no such config; they are in configs/'
    assert odd.startswith(f'Error: {paths[1]}: RuntimeError: ')
    assert '1280' in odd
    assert empty == f'Error: {paths[2]}: the config has no model'


def test_bad_shape():
    outcome = run_tool('complexity', '--shape', '224', '0')
    assert outcome.code == 2
    assert "argument --shape: '0' is not a whole number of pixels above 0" in outcome.output


@pytest.mark.input_fault(
    'Configs',
    'group norm in `tools/complexity.py`',
    'counted',
)
def test_norms_by_the_input_s_own_statistics():
    model = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4))
    counted = count_complexity(model.to('meta'), 5, 6)
    assert counted.parameters == 12 + 8
    assert counted.multiply_adds == 12 * 5 * 6
    assert counted.other_operations == 2 * (2 * 4 * 5 * 6)


@pytest.mark.parametrize('crop', ['80', '(80, 80)', '[80]'])
@pytest.mark.input_fault(
    'Configs',
    'a crop size of one number in `tools/complexity.py`',
    'a square',
)
def test_a_crop_of_one_number(crop, tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(
        f'_base_ = {str(CONFIGS / "deeplabv3_mbv2ca_voc.py")!r}\n'
        f'crop_size = {crop}\n'
        "norm = dict(type='GN', num_groups=2, _delete_=True)\n"
        'model = dict(decode_head=dict(norm_cfg=norm))\n'
    )
    outcome = run_tool('complexity', config)
    assert outcome.code == 0, outcome.output
    assert '80x80' in outcome.output
