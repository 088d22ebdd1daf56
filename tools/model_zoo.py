"""Write the model index, its metafiles and docs/model_zoo.md.

Everything in them comes from the configs, from the published tables and from results of our own:
nothing is typed twice. Run it after a change of any of these.
"""

import argparse
import functools
from pathlib import Path
from typing import NamedTuple

import yaml
from mmengine.config import Config

from mmca.complexity import Complexity
from mmca.complexity.config import count_config, input_size
from mmca.errors import UserError, told_to_the_user
from mmca.files import write_atomic
from mmca.publish.index import read_index
from mmca.reproduce import records
from mmca.tables import CLASSIFIER, TABLES, Row, Table, all_rows
from mmca.tables.render import figures, filled_columns, markdown_table

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'configs'
WRITTEN = 'Written by tools/model_zoo.py.'
PAPER = 'https://arxiv.org/abs/2103.02907'
COLLECTIONS = (
    'MobileNetV1',
    'MobileNetV2',
    'MobileNetV3',
    'MobileNeXt',
    'MnasNet',
    'EfficientNet',
    'SSDLite320',
    'DeepLabV3',
)
# Short names on the page, long ones in the metafiles.
ATTENTIONS = {
    'none': ('', ''),
    'se': ('SE', 'Squeeze-and-Excitation'),
    'cbam': ('CBAM', 'CBAM'),
    'ca': ('CA', 'Coordinate Attention'),
    'eca': ('ECA', 'ECA'),
    'triplet': ('triplet attention', 'Triplet Attention'),
    'simam': ('SimAM', 'SimAM'),
    'ema': ('EMA', 'EMA'),
    'ela': ('ELA', 'ELA'),
    'scsa': ('SCSA', 'SCSA'),
    'strip': ('strip attention', 'Strip Attention'),
}


class Model(NamedTuple):
    """What a config says and what its network costs."""

    backbone: str
    counts: Complexity
    size: str
    batch_size: int
    length: tuple[str, int]


def attention_names(row: Row) -> tuple[str, str]:
    """Names of a row's attention on the page, with what is special about it, and in metafiles."""
    kind, _, variant = row.attention.partition('-')
    short, long = ATTENTIONS[kind]
    return f'{short}, {variant}' if variant else short, long


def trained_value(config: str) -> float | None:
    """Metric in percent that our own trainings of a config reached; None if there are none."""
    return records.trained_value(config, ROOT / 'results')


@functools.cache
def read_model(config: str) -> Model:
    """Build the model of a config, by name, and count its parameters and multiply-adds."""
    cfg = Config.fromfile(CONFIGS / f'{config}.py')
    height, width = input_size(cfg)
    backbone = cfg.model.backbone
    multiplier = backbone.get('widen_factor', 1.0)
    epochs = cfg.train_cfg.get('max_epochs')
    return Model(
        backbone.type.removeprefix('mmca.') + (f' {multiplier}' if multiplier != 1 else ''),
        count_config(cfg, height, width),
        f'{height}x{width}',
        cfg.auto_scale_lr.base_batch_size,
        ('Epochs', epochs) if epochs else ('Iterations', cfg.train_cfg.max_iters),
    )


def table_configs(table: Table) -> list[tuple[str, Row]]:
    """Names of a table's configs, each with the row that it is for."""
    return [(config, row) for row in all_rows() if row.table == table for config in row.configs]


def metafile(table: Table) -> str:
    """The metafile of a table, in OpenMMLab's schema.

    ``Results`` are ours alone. What is published stands under names of its own in ``Metadata``:
    mim and others take a metric in ``Results`` for that of the weights.
    """
    models = []
    published = read_index(ROOT / 'results/published.json')
    method = '' if table.method == CLASSIFIER else table.method.name
    for config, row in table_configs(table):
        model, ours = read_model(config), trained_value(config)
        architecture = [model.backbone, attention_names(row)[1], method]
        metadata = {
            'Parameters': model.counts.parameters,
            'FLOPs': model.counts.multiply_adds,
            'Input Size': model.size,
            'Training Data': table.training_data,
            'Batch Size': model.batch_size,
            model.length[0]: model.length[1],
            'Architecture': list(filter(None, architecture)),
        }
        if row.value is not None:
            metadata |= {'Published Metric': table.metric.long_name, 'Published Value': row.value}
        entry = {
            'Name': config,
            'In Collection': method or model.backbone.split()[0],
            'Config': f'configs/{config}.py',
            # Without an address mim download shows this in its place; it splits at commas.
            'Weights': published.url(config)
            or f'no checkpoint is published yet: mim train mmca {config}.py makes one',
            'Metadata': metadata,
        }
        if ours is not None:
            result = {'Task': table.method.task, 'Dataset': table.training_data}
            entry['Results'] = [result | {'Metrics': {table.metric.long_name: ours}}]
        models.append(entry)
    return (
        f'# {WRITTEN}\n'
        '# Parameters and FLOPs (multiply-adds of convolutions and linear layers) are computed.\n'
        "# Published Value is the paper's figure; Results, where a model has them, are ours.\n"
        + yaml.safe_dump({'Models': models}, sort_keys=False, width=100)
    )


def model_index() -> str:
    """The file that mim reads first."""
    index = {
        'Collections': [{'Name': name, 'Paper': PAPER} for name in COLLECTIONS],
        'Import': [f'configs/metafiles/{table.name}.yml' for table in TABLES],
    }
    return f'# {WRITTEN}\n' + yaml.safe_dump(index, sort_keys=False)


def page_table(table: Table) -> str:
    """A table of the page."""
    header = ['backbone', 'config', 'params (M), published', 'params (M), computed']
    header += ['M-Adds (M), published', 'M-Adds (M), computed']
    header += [f'{table.metric.long_name}, published', f'{table.metric.long_name}, ours']
    lines = [header]
    for config, row in table_configs(table):
        model, ours = read_model(config), trained_value(config)
        name = ' + '.join(filter(None, (model.backbone, attention_names(row)[0])))
        link = f'[`{config}`](../configs/{config}.py)'
        trained = '' if ours is None else f'{ours:.2f}'
        lines.append([name, link, *figures(row, model.counts, trained)])
    # Ours, the last, is there even if empty.
    return markdown_table(filled_columns(lines, keep=[len(header) - 1]), left=2)


def page() -> str:
    """docs/model_zoo.md."""
    lines = [
        '# Model zoo',
        '',
        f'<!-- {WRITTEN} -->',
        '',
        "*Published* figures are those of the paper and its authors' README. *Computed* ones are",
        "counted on the config's network: all parameters, and the multiply-adds of convolutions",
        'and linear layers in one forward pass, batch norm folded ("FLOPs" in other model zoos).',
        '*Ours* is the metric of a training of ours; it is blank where there was none.',
        '',
        '`mbv1`, `mbv2`, `mbv3`: MobileNetV1 to V3, `mnext`: MobileNeXt, `mnasneta1`: MnasNet-A1,',
        '`effnetb0`: EfficientNet-B0; `se`, `cbam`, `ca`, ...: its attention. `_w075`, `_w050`:',
        'width 0.75 and 0.5; `_x`, `_y`: attention in one direction only; `_r12`, `_r16`, `_r24`:',
        'its reduction; `_last`: attention after the last depthwise convolution; `_s8`: output',
        'stride 8, else 16; `_1gpu`: the same total batch on one GPU; `_from_imagenet`: from plain',
        'ImageNet weights, into which the attention is [inserted](pretrained.md); `_small_priors`:',
        'the same, with priors from 20 pixels on; `mbv2eca` to `mbv2strip`, `mbv2carelu` and',
        '`mbv2cbamhswish`: of the [comparison of eleven attentions](attentions.md).',
    ]
    for table in TABLES:
        sizes = {read_model(config).size for config, _ in table_configs(table)}
        about = f'{table.training_data}, M-Adds at {" and ".join(sorted(sizes))}.'
        lines += ['', f'## {table.title}', '', about]
        lines += ['', table.note] if table.note else []
        lines += ['', page_table(table)]
    return '\n'.join([*lines, ''])


def contents() -> dict[str, str]:
    """{path in the repository: content} of all that is written."""
    metafiles = {f'configs/metafiles/{table.name}.yml': metafile(table) for table in TABLES}
    return {'model-index.yml': model_index(), **metafiles, 'docs/model_zoo.md': page()}


def stale(root: Path) -> list[str]:
    """Paths of files that differ from what would be written."""
    files = contents()
    found = {path: (root / path).read_text('utf-8') for path in files if (root / path).is_file()}
    return [path for path, content in files.items() if found.get(path) != content]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--check', action='store_true', help='only say which files are out of date')
    args = parser.parse_args()
    if args.check:
        with told_to_the_user():
            if outdated := stale(ROOT):
                raise UserError(
                    f'out of date: {", ".join(outdated)}; run python tools/model_zoo.py'
                )
        return
    for path, content in contents().items():
        write_atomic(ROOT / path, content.encode())
        print(f'wrote {path}')


if __name__ == '__main__':
    main()
