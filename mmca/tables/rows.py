"""The rows of the tables, from ``rows.csv``: one for each config but the sample's.

Published figures are what the paper and the authors' README print; none was computed or trained
here.
"""

import csv
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from mmca.errors import UserError

from .catalogue import TABLES, Method, Metric, Table

_FILE = Path(__file__).with_name('rows.csv')


class UnknownRowError(UserError):
    """There is no such table or row, or it has no config on the sample."""


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        table: That it stands in.
        run: What ``tools/reproduce.py run`` calls the rows that it trains with this one; several
            names, with spaces between them, if it stands in several; empty if it trains this one
            in none.
        config: Name of its config, without folder and suffix.
        alternative: A second config that fits the row: MobileNeXt with its attention after the
            last depthwise convolution. Figure and text put it after the first, the published
            parameters fit the last better.
        backbone: As printed.
        attention: ``'none'``, ``'se'``, ``'cbam'``, ``'ca'`` or another one's short name; behind
            a hyphen what differs from its other rows, as in ``'ca-x'`` or ``'se-r12'``.
        pretraining: The classifier whose backbone the row starts from; None if from scratch.
        sample: Name of the same model's config on the synthetic sample; empty if there is none.
        parameters: Published, in millions.
        multiply_adds: Published, in millions.
        value: Published, of the metric in percent; None where nothing is published.
        metric: The table's, or that of the sample.
    """

    table: Table
    run: str
    config: str
    alternative: str
    backbone: str
    attention: str
    pretraining: 'Row | None'
    sample: str
    parameters: float | None
    multiply_adds: int | None
    value: float | None
    metric: Metric

    @property
    def method(self) -> Method:
        """The table's."""
        return self.table.method

    @property
    def configs(self) -> list[str]:
        """The row's config and, if there is one, the alternative."""
        return [name for name in (self.config, self.alternative) if name]

    def on_sample(self) -> 'Row':
        """The same row with the sample's data and schedule.

        Raises:
            UnknownRowError: If there is no config for that.
        """
        if not self.sample:
            raise UnknownRowError(f'{self.config}: has no config on the sample')
        return replace(
            self.with_config(self.sample),
            pretraining=self.pretraining and self.pretraining.on_sample(),
            metric=self.method.sample_metric,
            parameters=None,
            multiply_adds=None,
            value=None,
        )

    def with_config(self, config: str) -> 'Row':
        """The same row, trained with another config than its own."""
        return replace(self, config=config, alternative='', sample='')


@cache
def all_rows() -> tuple[Row, ...]:
    """All rows, in the order of the tables."""
    tables = {table.name: table for table in TABLES}
    rows, by_config = [], {}
    with _FILE.open(encoding='utf-8', newline='') as file:
        for cells in csv.DictReader(file):
            table, start = tables[cells.pop('table')], cells.pop('pretraining')
            numbers = {
                'parameters': _number(cells.pop('params_M')),
                'multiply_adds': _number(cells.pop('madds_M')),
                'value': _number(cells.pop('value')),
            }
            # The file has a row below the one that it starts from.
            start = by_config[start] if start else None
            row = Row(table, pretraining=start, metric=table.metric, **cells, **numbers)
            rows.append(row)
            by_config[row.config] = row
    return tuple(rows)


def _number(text: str) -> float | int | None:
    return (float(text) if '.' in text else int(text)) if text else None


def find_row(config: str) -> Row | None:
    """The row that a config, by name without folder and suffix, is for; None if there is none."""
    return next((row for row in all_rows() if config in row.configs), None)


def runs() -> dict[str, list[Row]]:
    """What ``tools/reproduce.py`` trains together, by name."""
    found: dict[str, list[Row]] = {}
    for row in all_rows():
        for name in row.run.split():
            found.setdefault(name, []).append(row)
    return found


def find_run(name: str) -> list[Row]:
    """The rows that ``tools/reproduce.py run NAME`` trains, in their order.

    Raises:
        UnknownRowError: If there is no such name; it names those that there are.
    """
    if name not in runs():
        raise UnknownRowError(f'{name}: no such table; there are {", ".join(runs())}')
    return runs()[name]


def choose_rows(run: str, names: list[str] | None, sample: bool = False) -> list[Row]:
    """The rows of a run that can be trained here.

    Args:
        run (str): Its name.
        names (list[str] | None): Configs or attentions to choose; None: all rows with a config.
        sample (bool): With the sample's configs in place of the real ones.

    Raises:
        UnknownRowError: If the run, a row or its config on the sample does not exist.
    """
    rows = find_run(run)
    chosen = rows if names is None else []
    for name in names or []:
        found = [row for row in rows if name in (row.config, row.attention)]
        found += [row.with_config(name) for row in rows if name == row.alternative]
        if not found:
            there = ', '.join(f'{row.config} ({row.attention})' for row in rows)
            raise UnknownRowError(f'{name}: no such row in {run}; there are {there}')
        chosen += [row for row in found if row not in chosen]
    return [row.on_sample() for row in chosen] if sample else chosen
