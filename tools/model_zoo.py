"""Write the model index, its metafiles and docs/model_zoo.md.

Everything in them comes from the configs, from the published tables and from results of our own:
nothing is typed twice. Run it after a change of any of these.
"""

import argparse
import functools
import re
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'configs'
WRITTEN = 'Written by tools/model_zoo.py.'
PAPER = 'https://arxiv.org/abs/2103.02907'
COLLECTIONS = ('MobileNetV2', 'MobileNeXt', 'SSDLite320', 'DeepLabV3')
# Short names on the page, long ones in the metafiles.
ATTENTIONS = {
    'mmca.CoordinateAttention': ('CA', 'Coordinate Attention'),
    'mmca.SqueezeExcitation': ('SE', 'Squeeze-and-Excitation'),
    'mmca.CBAM': ('CBAM', 'CBAM'),
    None: ('', ''),
}


class Kind(NamedTuple):
    """What a model does, in OpenMMLab's words; ``method`` is '' for a classifier."""

    method: str
    task: str
    metric: str


class Table(NamedTuple):
    """A table of the page, and a metafile; ``name`` is the published table's, if it is one."""

    name: str
    title: str
    config_pattern: str
    kind: Kind
    training_data: str
    note: str = ''


CLASSIFIER = Kind('', 'Image Classification', 'Top 1 Accuracy')
SSDLITE = Kind('SSDLite320', 'Object Detection', 'box AP')
SSDLITE_VOC = SSDLITE._replace(metric='mAP')
DEEPLAB = Kind('DeepLabV3', 'Semantic Segmentation', 'mIoU')

PLACE = """\
The paper's figure and a tip in its authors' README put the attention after the first depthwise
convolution of a block; after the last one (`_last`) the parameters are nearer to the published
ones. The authors publish no code for it: both stand beside the same published row."""
OTHERS = 'Rows without a config are printed in the published table for comparison only.'
OUTPUTS = """\
The published table prints COCO's parameters; with 21 outputs in place of 81 they are fewer."""
OWN = "A small real benchmark of this project's; nothing is published for it."
TABLES = (
    Table('imagenet_mbv2', 'MobileNetV2, ImageNet', 'mbv2*_imagenet*', CLASSIFIER, 'ImageNet-1k'),
    Table(
        'imagenet_mnext',
        'MobileNeXt, ImageNet',
        'mnext*_imagenet*',
        CLASSIFIER,
        'ImageNet-1k',
        PLACE,
    ),
    Table(
        'coco_ssdlite320', 'SSDLite320, COCO', 'ssdlite320_*_coco*', SSDLITE, 'COCO 2017', OTHERS
    ),
    Table(
        'voc07_ssdlite320',
        'SSDLite320, VOC 2007',
        'ssdlite320_*_voc',
        SSDLITE_VOC,
        'VOC 2007 + 2012',
        OUTPUTS,
    ),
    Table('voc12_deeplabv3', 'DeepLabV3, VOC 2012', 'deeplabv3_*_voc*', DEEPLAB, 'VOC 2012 + SBD'),
    Table(
        'cityscapes_deeplabv3',
        'DeepLabV3, Cityscapes',
        'deeplabv3_*_cityscapes*',
        DEEPLAB,
        'Cityscapes',
    ),
    Table('cifar10', 'CIFAR-10', 'm*_cifar10', CLASSIFIER, 'CIFAR-10', OWN),
    Table('camvid_deeplabv3', 'DeepLabV3, CamVid', 'deeplabv3_*_camvid', DEEPLAB, 'CamVid', OWN),
    Table('bccd_ssdlite320', 'SSDLite320, BCCD', 'ssdlite320_*_bccd', SSDLITE_VOC, 'BCCD', OWN),
)


class Model(NamedTuple):
    """What a config says and what its network costs."""

    backbone: str
    attention: tuple[str, str]  # short and long
    parameters: int
    multiply_adds: int
    size: tuple[int, int]
    batch_size: int
    length: tuple[str, int]


def trained_value(config: str) -> float | None:
    """Metric in percent that our own trainings of a config reached; None if there are none."""
    from mmca.reproduce.records import trained_value

    return trained_value(config, ROOT / 'results')


@functools.cache
def read_model(config: str) -> Model:
    """Build the model of a config, by name, and count its parameters and multiply-adds."""
    from mmengine.config import Config

    from mmca.config_complexity import count_config, input_size

    cfg = Config.fromfile(CONFIGS / f'{config}.py')
    size = input_size(cfg)
    counts = count_config(cfg, *size)
    backbone = cfg.model.backbone
    width = backbone.get('widen_factor', 1.0)
    attention = backbone.get('attention') or {}
    epochs = cfg.train_cfg.get('max_epochs')
    return Model(
        backbone.type.removeprefix('mmca.') + (f' {width}' if width != 1 else ''),
        ATTENTIONS[attention.get('type')],
        counts.parameters,
        counts.multiply_adds,
        size,
        cfg.auto_scale_lr.base_batch_size,
        ('Epochs', epochs) if epochs else ('Iterations', cfg.train_cfg.max_iters),
    )


def table_configs(table: Table) -> list[str]:
    """Names of a table's configs: those of published rows in their order, then the others."""
    from mmca.published import published_rows

    rows = [row for row in published_rows() if row.table == table.name]
    named = [name for row in rows for name in (row.config, row.alternative) if name]
    there = {path.stem for path in CONFIGS.glob(f'{table.config_pattern}.py')}
    return [*named, *sorted(there - set(named), key=_attention_last)]


def _attention_last(config: str) -> tuple[str, int]:
    attention = re.search('(?:mbv2|mnext)(se|cbam|ca|)_', config)[1]
    return config.replace(f'{attention}_', '_', 1), ('', 'se', 'cbam', 'ca').index(attention)


def metafile(table: Table) -> str:
    """The metafile of a table, in OpenMMLab's schema.

    ``Results`` are ours alone. What is published stands under names of its own in ``Metadata``:
    mim and others take a metric in ``Results`` for that of the weights.
    """
    from mmca.published import find_published

    models = []
    for config in table_configs(table):
        model, published, ours = read_model(config), find_published(config), trained_value(config)
        metadata = {
            'Parameters': model.parameters,
            'FLOPs': model.multiply_adds,
            'Input Size': '{}x{}'.format(*model.size),
            'Training Data': table.training_data,
            'Batch Size': model.batch_size,
            model.length[0]: model.length[1],
            'Architecture': list(
                filter(None, (model.backbone, model.attention[1], table.kind.method))
            ),
        }
        if published:
            metadata |= {'Published Metric': table.kind.metric, 'Published Value': published.value}
        entry = {
            'Name': config,
            'In Collection': table.kind.method or model.backbone.split()[0],
            'Config': f'configs/{config}.py',
            # mim download shows it in place of a file; it splits at commas.
            'Weights': f'no checkpoint is published yet: mim train mmca {config}.py makes one',
            'Metadata': metadata,
        }
        if ours is not None:
            result = {'Task': table.kind.task, 'Dataset': table.training_data}
            entry['Results'] = [result | {'Metrics': {table.kind.metric: ours}}]
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


def page_table(table: Table) -> list[str]:
    """The lines of a table of the page; columns in which nothing stands are left out."""
    from mmca.published import find_published, published_rows

    header = ('backbone', 'config', 'params (M), published', 'params (M), computed')
    header += ('M-Adds (M), published', 'M-Adds (M), computed')
    header += (f'{table.kind.metric}, published', f'{table.kind.metric}, ours')
    rows = [
        (row.backbone, '', str(row.parameters), '', str(row.multiply_adds or ''), '')
        + (str(row.value), '')
        for row in published_rows()
        if row.table == table.name and not row.config
    ]
    for config in table_configs(table):
        model, published, ours = read_model(config), find_published(config), trained_value(config)
        names = ('parameters', 'multiply_adds', 'value')
        quoted = [str(getattr(published, name, None) or '') for name in names]
        rows.append(
            (
                ' + '.join(filter(None, (model.backbone, model.attention[0]))),
                f'[`{config}`](../configs/{config}.py)',
                quoted[0],
                f'{model.parameters / 1e6:.3f}',
                quoted[1],
                f'{model.multiply_adds / 1e6:.1f}',
                quoted[2],
                '' if ours is None else f'{ours:.2f}',
            )
        )
    # Ours, the last, is there even if empty.
    columns = [i for i, _ in enumerate(header) if i == 7 or any(row[i] for row in rows)]
    lines = [header, ['---', '---', *['---:'] * 6], *rows]
    return [f'| {" | ".join(line[i] for i in columns)} |' for line in lines]


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
        '`mbv2`: MobileNetV2, `mnext`: MobileNeXt; `se`, `cbam`, `ca`: its attention. `_w075`,',
        '`_w050`: width 0.75 and 0.5; `_x`, `_y`: attention in one direction only; `_r16`:',
        'reduction 16; `_last`: attention after the last depthwise convolution; `_s8`: output',
        'stride 8, else 16; `_1gpu`: the same total batch on one GPU.',
    ]
    for table in TABLES:
        sizes = {'{}x{}'.format(*read_model(config).size) for config in table_configs(table)}
        about = f'{table.training_data}, M-Adds at {" and ".join(sorted(sizes))}.'
        lines += ['', f'## {table.title}', '', about]
        lines += ['', table.note] if table.note else []
        lines += ['', *page_table(table)]
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
        if outdated := stale(ROOT):
            raise SystemExit(f'Out of date: {", ".join(outdated)}; run python tools/model_zoo.py')
        return
    from mmca.dataprep.common import write_atomic

    for path, content in contents().items():
        write_atomic(ROOT / path, content.encode())
        print(f'wrote {path}')


if __name__ == '__main__':
    main()
