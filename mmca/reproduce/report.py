"""``TABLE.md`` and ``TABLE.png`` from the records of the runs."""

import os
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import comb
from pathlib import Path
from statistics import mean, stdev

from mmengine.config import Config

from mmca.complexity import Complexity
from mmca.complexity.config import count_config, input_size
from mmca.files import write_atomic
from mmca.tables import Row, UnknownRowError, find_run, runs
from mmca.tables.render import figures, filled_columns, markdown_table

from . import records
from .compare import comparison
from .settings import Settings, config_path


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
    def figures(self) -> list[str]:
        """Cells, see :func:`mmca.tables.render.figures`."""
        return figures(self.row, computed(self.row.config), self.trained)


def entries_of(table: str, settings: Settings) -> list[Entry]:
    """All rows of a table at the scale of the settings.

    Raises:
        UnknownRowError: If there is no such table, or it has no rows at this scale.
    """
    rows = find_run(table)
    if settings.sample:
        rows = [row.on_sample() for row in rows]
    return [Entry(row, records.records_of(row.config, settings.reports)) for row in rows]


def tables_with_records(settings: Settings) -> list[str]:
    """Names of the tables of which a row has a record."""
    found = []
    for table in runs():
        try:
            if any(entry.runs for entry in entries_of(table, settings)):
                found.append(table)
        except UnknownRowError:  # the project's own benchmarks have no sample
            continue
    return found


@cache
def computed(config: str) -> Complexity:
    """Parameters and multiply-adds of a config, by name."""
    cfg = Config.fromfile(config_path(config))
    return count_config(cfg, *input_size(cfg))


def conclusion(entries: list[Entry]) -> str:
    """What the trained values say about the attentions, and no more."""
    trained = [entry for entry in entries if entry.values]
    if not trained:
        return 'Nothing is trained yet.'
    fewest = min(len(entry.values) for entry in trained)
    if fewest < 3:
        return 'Fewer than three seeds: differences between rows say nothing about the attention.'
    if len(trained) == 1:
        return 'One row is trained: there is nothing to compare it with yet.'
    apart, pairs, by_chance = [], 0, 0.0
    for one, other in combinations(trained, 2):
        pairs += 1
        # Of all orders of the seeds of two rows that do not differ, two have them apart.
        by_chance += 2 / comb(len(one.values) + len(other.values), len(one.values))
        low, high = sorted((one, other), key=lambda entry: mean(entry.values))
        if max(low.values) < min(high.values):
            apart.append(f'{high.row.config} above {low.row.config}')
    if not apart:
        return 'The seeds of all rows overlap: no difference between rows is shown.'
    return (
        f'Apart in every seed: {"; ".join(apart)}. All other differences are within the seeds. '
        f'Were all rows equal, {by_chance:.1f} of the {pairs} pairs would be apart by chance.'
    )


def render(table: str, entries: list[Entry], settings: Settings) -> str:
    """The report as markdown."""
    metric = entries[0].row.metric.name
    header = ['backbone', 'attention', 'config', 'published params (M)', 'computed params (M)']
    header += ['published M-Adds', 'computed M-Adds', f'published {metric}', f'our {metric}']
    lines = [[*header, 'runs (seed)']]
    for entry in entries:
        names = [entry.row.backbone, entry.row.attention, entry.row.config]
        lines.append([*names, *entry.figures, _links(entry, settings)])
    lines = filled_columns(lines)
    text = markdown_table(lines, left=len(lines[0]))
    title = f'# {table}'
    intro = f'Metrics in percent, each of the last checkpoint; M-Adds at {_sizes(entries)}.'
    if settings.sample:
        title += f', on the synthetic sample ({settings.difficulty})'
        intro = (
            '**Synthetic scenes and a short schedule: this shows that every row works from '
            f'pretraining to test, not how good the attention is.** {intro}'
        )
    chart = f'\n![Attention and {metric}]({table}.png)\n' if any(e.values for e in entries) else ''
    if _has_curves(entries):
        chart += f'\n![Validation {metric} while training]({table}_curves.png)\n'
    if compared := comparison(entries):
        chart += f'\n{compared}'
    return (
        f'{title}\n\n{intro} {conclusion(entries)}\n\n{text}\n{chart}\n'
        f'{_machines(entries)}'
        f'Made by `{settings.run_command(table)}{_options(entries)}`; a link leads to the record '
        'of the run: config, commit, checkpoint, libraries, machine, seed.\n'
    )


def _has_curves(entries: list[Entry]) -> bool:
    return any(run.get('curve') for entry in entries for run in entry.runs.values())


def _options(entries: list[Entry]) -> str:
    """Seeds and further options with which all runs were made."""
    seeds = max((len(entry.runs) for entry in entries), default=0)
    given = {tuple(run.get('train_options', ())) for e in entries for run in e.runs.values()}
    words = [f'--seeds {seeds}'] if seeds > 1 else []
    words += given.pop() if len(given) == 1 else ()
    return ''.join(f' {word}' for word in words)


def _sizes(entries: list[Entry]) -> str:
    """Of the inputs for which the multiply-adds are counted."""
    sizes = {input_size(Config.fromfile(config_path(entry.row.config))) for entry in entries}
    return ' and '.join(f'{height}x{width}' for height, width in sorted(sizes))


def _links(entry: Entry, settings: Settings) -> str:
    """To the records, by seed."""
    config, folder = entry.row.config, settings.reports
    paths = {seed: os.path.relpath(settings.record(config, seed), folder) for seed in entry.runs}
    return ', '.join(f'[{seed}]({path})' for seed, path in paths.items())


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
        from .chart import draw_chart, draw_curves

        draw_chart(table, entries, settings, out.with_suffix('.png'))
        if _has_curves(entries):
            draw_curves(entries, out.with_name(f'{table}_curves.png'))
    write_atomic(out, text.encode())
    return out
