"""Rows of a table against the one without attention: the same seeds, with intervals."""

from collections.abc import Iterable, Sequence
from statistics import mean, stdev
from typing import NamedTuple

from scipy.stats import t

from mmca.tables.render import markdown_table

_CLASS_PREFIXES = ('IoU.', 'AP.')


class Difference(NamedTuple):
    """Of two rows, in percent points.

    Attributes:
        mean: Over the seeds.
        half: Half of the 95 % interval of the mean, by Student's t; None with one seed.
        seeds: How many both rows have.
    """

    mean: float
    half: float | None
    seeds: int

    def __str__(self) -> str:
        return f'{self.mean:+.2f}' + ('' if self.half is None else f' ± {self.half:.2f}')

    @property
    def is_shown(self) -> bool:
        """Whether zero lies outside of the interval."""
        return self.half is not None and abs(self.mean) > self.half


def difference(values: dict[int, float], base: dict[int, float]) -> Difference | None:
    """Paired by seed: what the seed decides beside the attention falls out; None without a pair."""
    pairs = [values[seed] - base[seed] for seed in values if seed in base]
    if not pairs:
        return None
    number = len(pairs)
    half = None
    if number > 1:
        half = float(t.ppf(0.975, number - 1)) * stdev(pairs) / number**0.5
    return Difference(mean(pairs), half, number)


def comparison(entries: Sequence) -> str:
    """Markdown: differences of the metric and of each class to the row without attention.

    Args:
        entries (Sequence): Of :mod:`mmca.reproduce.report`. Rows are compared with the one of the
            same backbone whose attention is ``none``.

    Returns:
        str: Empty if there is nothing to compare.
    """
    bases = {entry.row.backbone: entry for entry in entries if entry.row.attention == 'none'}
    pairs = [
        (entry, bases[entry.row.backbone])
        for entry in entries
        if entry.row.attention != 'none' and entry.row.backbone in bases
    ]
    lines = []
    for entry, base in pairs:
        found = difference(_values(entry.runs), _values(base.runs))
        if found:
            said = 'yes' if found.is_shown else 'no'
            lines.append([_name(entry, bases), str(found.seeds), str(found), said])
    if not lines:
        return ''
    metric = entries[0].row.metric.name
    header = ['attention', 'seeds', f'difference in {metric}', 'zero outside the interval']
    text = (
        '## Against none\n\nPercent points, the same seeds paired, with the 95 % interval of '
        f"Student's t.\n\n{markdown_table([header, *lines])}\n"
    )
    return text + _by_class(pairs, bases)


def _by_class(pairs: Sequence[tuple], bases: dict) -> str:
    columns = []
    for entry, base in pairs:
        found = {
            name: difference(_values(entry.runs, name), _values(base.runs, name))
            for name in _class_names(base.runs.values())
        }
        if any(found.values()):
            columns.append((_name(entry, bases), found))
    if not columns:
        return ''
    names = _class_names(run for _, base in pairs for run in base.runs.values())
    lines = [['class', 'none', *(name for name, _ in columns)]]
    for name in names:
        values = [v for _, base in pairs[:1] for v in _values(base.runs, name).values()]
        cells = [str(found[name]) if found.get(name) else '' for _, found in columns]
        lines.append([name.partition('.')[2], f'{mean(values):.2f}' if values else '', *cells])
    kind = names[0].partition('.')[0]
    return f'\n{kind} of each class, in percent, and differences:\n\n{markdown_table(lines)}\n'


def _values(runs: dict[int, dict], name: str | None = None) -> dict[int, float]:
    """A row's metric, or the figure of a class, by seed; of detections in percent, too."""
    if name is None:
        return {seed: run['value'] for seed, run in runs.items()}
    found = {seed: run.get('metrics', {}).get(name) for seed, run in runs.items()}
    return {seed: value for seed, value in found.items() if value is not None}


def _class_names(runs: Iterable[dict]) -> list[str]:
    names = [name for run in runs for name in run.get('metrics', {})]
    return list(dict.fromkeys(name for name in names if name.startswith(_CLASS_PREFIXES)))


def _name(entry, bases: dict) -> str:
    row = entry.row
    return row.attention if len(bases) == 1 else f'{row.backbone}, {row.attention}'
