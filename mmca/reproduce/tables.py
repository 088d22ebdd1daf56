"""The tables that can be reproduced: the published ones, and this project's small benchmarks."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

from mmca.published import PublishedRow, published_rows

_BENCHMARKS = Path(__file__).parents[1] / 'benchmark_tables.csv'
# The dataset on which the backbone is trained first; CamVid's is trained from scratch.
_PRETRAINED_ON = dict(
    coco='imagenet', voc='imagenet', cityscapes='imagenet', bccd='cifar10', sample='sample'
)
# Name of a metric in tables: its key in the results of tools/test.py, factor to percent.
METRICS = {
    'top1': ('accuracy/top1', 1),
    'mIoU': ('mIoU', 1),
    'AP': ('coco/bbox_mAP', 100),
    'mAP': ('pascal_voc/mAP', 100),
    'sample AP50': ('coco/bbox_mAP_50', 100),
}


class UnknownRowError(ValueError):
    """There is no such table, row or config."""


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        table: Name of the table.
        config: Name of the row's config; empty if the row is only quoted.
        backbone: As printed.
        attention: ``'none'``, ``'se'``, ``'cbam'`` or ``'ca'``.
        method: ``'classifier'``, ``'SSDLite320'`` or ``'DeepLabV3'``.
        metric: A key of :data:`METRICS`.
        published: The published row; None in the project's own benchmarks and on the sample.
    """

    table: str
    config: str
    backbone: str
    attention: str
    method: str
    metric: str
    published: PublishedRow | None = None

    @property
    def classifier(self) -> str:
        """Config of the classifier whose backbone the row starts from; empty if from scratch."""
        if self.method == 'classifier':
            return ''
        _, backbone, dataset = self.config.split('_')[:3]
        return f'{backbone}_{_PRETRAINED_ON[dataset]}' if dataset in _PRETRAINED_ON else ''

    def on_sample(self) -> 'Row':
        """The same row with the sample's data and schedule."""
        parts = self.config.split('_')
        place = 1 if self.method == 'classifier' else 2
        if not self.config or parts[place] not in ('imagenet', 'coco', 'voc', 'cityscapes'):
            raise UnknownRowError(f'{self.config or self.backbone}: has no config on the sample')
        parts[place] = 'sample'
        metric = 'sample AP50' if self.method == 'SSDLite320' else self.metric
        return replace(self, config='_'.join(parts), metric=metric, published=None)


def _published() -> list[Row]:
    rows = []
    for row in published_rows():
        suffix = f'_s{row.output_stride}' if row.output_stride else ''
        told = (row.backbone, row.attention, row.method, row.metric, row)
        rows.append(Row(row.table + suffix, row.config, *told))
    return rows


def all_tables() -> dict[str, list[Row]]:
    """Rows of each table, in the order of the paper, then the project's own benchmarks."""
    with _BENCHMARKS.open(encoding='utf-8', newline='') as file:
        own = [Row(**cells) for cells in csv.DictReader(file)]
    tables: dict[str, list[Row]] = {}
    for row in [*_published(), *own]:
        tables.setdefault(row.table, []).append(row)
    return tables


def find_table(name: str) -> list[Row]:
    """Rows of a table.

    Raises:
        UnknownRowError: If there is no such table; it names those that there are.
    """
    tables = all_tables()
    if name not in tables:
        raise UnknownRowError(f'{name}: no such table; there are {", ".join(tables)}')
    return tables[name]


def choose_rows(table: str, wanted: list[str] | None, sample: bool = False) -> list[Row]:
    """Rows of a table that can be trained here.

    Args:
        table (str): Name of the table.
        wanted (list[str] | None): Configs or attentions to choose; None: all rows with a config.
        sample (bool): With the sample's configs in place of the real ones.

    Raises:
        UnknownRowError: If the table, a row or its config on the sample does not exist.
    """
    rows = [row for row in find_table(table) if row.config]
    chosen = rows if wanted is None else []
    for name in wanted or []:
        found = [row for row in rows if name in (row.config, row.attention)]
        # MobileNeXt with its attention after the last depthwise convolution.
        others = (r for r in rows if r.published and name == r.published.alternative)
        found += [replace(row, config=name) for row in others]
        if not found:
            names = ', '.join(f'{row.config} ({row.attention})' for row in rows)
            raise UnknownRowError(f'{name}: no such row in {table}; there are {names}')
        chosen += [row for row in found if row not in chosen]
    return [row.on_sample() for row in chosen] if sample else chosen
