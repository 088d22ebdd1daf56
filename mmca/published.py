"""The tables that the authors of coordinate attention published, row by row.

``published_tables.csv`` beside this file holds what the paper and the authors' README print, and
for each row the name of our config for it. Nothing in it was computed or trained here.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name('published_tables.csv')


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table; None where the table is silent.

    Attributes:
        table: Dataset and method, e.g. ``'voc12_deeplabv3'``.
        config: Name of our config for the row, which may not exist yet; empty if none is planned.
        alternative: A second config that fits the row: MobileNeXt with its attention after the
            last depthwise convolution. Figure and text put it after the first, the published
            parameters fit the last better.
        backbone: As printed.
        attention: ``'none'``, ``'se'``, ``'cbam'`` or ``'ca'``.
        method: ``'classifier'``, ``'SSDLite320'`` or ``'DeepLabV3'``.
        output_stride: Of the backbone, with DeepLabV3.
        parameters: In millions.
        multiply_adds: In millions.
        metric: ``'top1'``, ``'AP'``, ``'mAP'`` or ``'mIoU'``.
        value: Of the metric, in percent.
    """

    table: str
    config: str
    alternative: str
    backbone: str
    attention: str
    method: str
    output_stride: int | None
    parameters: float
    multiply_adds: int | None
    metric: str
    value: float


def _row(cells: dict[str, str]) -> PublishedRow:
    numbers = {
        'output_stride': int(cells.pop('output_stride') or 0) or None,
        'parameters': float(cells.pop('params_M')),
        'multiply_adds': int(cells.pop('madds_M') or 0) or None,
        'value': float(cells.pop('value')),
    }
    return PublishedRow(**cells, **numbers)


def published_rows() -> list[PublishedRow]:
    """All rows, in the order of the tables."""
    with _FILE.open(encoding='utf-8', newline='') as file:
        return [_row(cells) for cells in csv.DictReader(file)]


def find_published(config: str) -> PublishedRow | None:
    """The row that a config, by name without folder and suffix, is for; None if there is none."""
    rows = (row for row in published_rows() if config and config in (row.config, row.alternative))
    return next(rows, None)
