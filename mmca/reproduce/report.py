"""``TABLE.md`` and ``TABLE.png`` from the records of the runs."""

import os
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev

from mmengine.config import Config

from mmca.config_complexity import count_config, input_size
from mmca.dataprep.common import write_atomic

from . import records
from .settings import Settings, config_path
from .tables import Row, UnknownRowError, all_tables, find_table

_HEADER = (
    'backbone',
    'attention',
    'config',
    'published params (M)',
    'computed params (M)',
    'published M-Adds',
    'computed M-Adds',
)


@dataclass(frozen=True)
class Entry:
    """A row with the records of its runs, by seed."""

    row: Row
    runs: dict[int, dict]

    @property
    def values(self) -> list[float]:
        """The metric of each seed, in percent."""
        return [run['value'] for run in self.runs.values()]

    @property
    def trained(self) -> str:
        """Mean and, from two seeds on, standard deviation; empty if not trained."""
        if not self.values:
            return ''
        if len(self.values) == 1:
            return f'{self.values[0]:.2f}'
        return f'{mean(self.values):.2f} ± {stdev(self.values):.2f} ({len(self.values)} seeds)'

    @property
    def published(self) -> str:
        """The published metric, as printed."""
        return str(self.row.published.value) if self.row.published else ''


def entries_of(table: str, settings: Settings) -> list[Entry]:
    """All rows of a table at the scale of the settings.

    Raises:
        UnknownRowError: If there is no such table, or it has no rows at this scale.
    """
    rows = find_table(table)
    if settings.sample:
        rows = [row.on_sample() for row in rows if row.config]
    return [
        Entry(row, records.records_of(row.config, settings.reports) if row.config else {})
        for row in rows
    ]


def tables_with_records(settings: Settings) -> list[str]:
    """Names of the tables of which a row has a record."""
    found = []
    for table in all_tables():
        try:
            if any(entry.runs for entry in entries_of(table, settings)):
                found.append(table)
        except UnknownRowError:  # the project's own benchmarks have no sample
            continue
    return found


@cache
def computed(config: str) -> tuple[str, str]:
    """Parameters and multiply-adds of a config in millions, as printed; empty without one."""
    if not config:
        return '', ''
    cfg = Config.fromfile(config_path(config))
    counts = count_config(cfg, *input_size(cfg))
    return f'{counts.parameters / 1e6:.3f}', f'{counts.multiply_adds / 1e6:.1f}'


def cells_of(entry: Entry, settings: Settings) -> list[str]:
    """The cells of an entry's line."""
    row, published = entry.row, entry.row.published
    links = ', '.join(
        f'[{seed}]({os.path.relpath(settings.record(row.config, seed), settings.reports)})'
        for seed in entry.runs
    )
    return [
        row.backbone,
        row.attention,
        row.config,
        str(published.parameters) if published else '',
        computed(row.config)[0],
        str(published.multiply_adds or '') if published else '',
        computed(row.config)[1],
        entry.published,
        entry.trained,
        links,
    ]


def conclusion(entries: list[Entry]) -> str:
    """What the trained values say about the attentions, and no more."""
    trained = [entry for entry in entries if entry.values]
    if not trained:
        return 'Nothing is trained yet.'
    fewest = min(len(entry.values) for entry in trained)
    if fewest < 3:
        return 'Fewer than three seeds: differences between rows say nothing about the attention.'
    apart = []
    for one, other in combinations(trained, 2):
        low, high = sorted((one, other), key=lambda entry: mean(entry.values))
        if max(low.values) < min(high.values):
            apart.append(f'{high.row.config} above {low.row.config}')
    if not apart:
        return 'The seeds of all rows overlap: no difference between rows is shown.'
    return f'Apart in every seed: {"; ".join(apart)}. All other differences are within the seeds.'


def render(table: str, entries: list[Entry], settings: Settings) -> str:
    """The report as markdown."""
    metric = entries[0].row.metric
    names = (*_HEADER, f'published {metric}', f'our {metric}', 'runs (seed)')
    lines = [names, ['---'] * len(names), *(cells_of(entry, settings) for entry in entries)]
    # A column that no row fills, such as a published one on the sample, is left out.
    filled = [i for i in range(len(names)) if any(line[i] for line in lines[2:])]
    text = '\n'.join(f'| {" | ".join(line[i] for i in filled)} |' for line in lines)
    title = f'# {table}'
    intro = 'Metrics in percent, each of the last checkpoint.'
    if settings.sample:
        title += f', on the synthetic sample ({settings.difficulty})'
        intro = (
            '**Synthetic scenes and a short schedule: this shows that every row works from '
            f'pretraining to test, not how good the attention is.** {intro}'
        )
    chart = f'\n![Attention and {metric}]({table}.png)\n' if any(e.values for e in entries) else ''
    return (
        f'{title}\n\n{intro} {conclusion(entries)}\n\n{text}\n{chart}\n'
        f'{_machines(entries)}'
        f'Made by `{settings.run_command(table)}`; a link leads to the record of '
        'the run: config, commit, checkpoint, libraries, machine, seed.\n'
    )


def _machines(entries: list[Entry]) -> str:
    found = {
        f'{run["machine"].get("gpu") or run["machine"]["cpu"]} '
        f'({run["machine"]["threads"]} CPU threads, torch {run["versions"]["torch"]})'
        for entry in entries
        for run in entry.runs.values()
    }
    return f'Trained on {"; ".join(sorted(found))}. ' if found else ''


def write_report(table: str, settings: Settings) -> Path:
    """Write markdown and chart; returns the file."""
    out = settings.reports / f'{table}.md'
    entries = entries_of(table, settings)
    text = render(table, entries, settings)
    if any(entry.values for entry in entries):
        from .chart import draw_chart

        draw_chart(table, entries, settings, out.with_suffix('.png'))
    write_atomic(out, text.encode())
    return out
