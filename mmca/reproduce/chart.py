"""The charts of a report: each row's metric, published and ours, and the validations before."""

from pathlib import Path

from mmca.pictures import plt, save_figure

from .settings import Settings

# Percent points on the y axis: small differences look small.
_LEAST_SPAN = 10


def draw_chart(table: str, entries: list, settings: Settings, out: Path) -> None:
    """Dots for the seeds, a bar at their mean, a diamond for the published value.

    Args:
        table (str): Name of the table.
        entries (list): Entries of :mod:`mmca.reproduce.report`.
        settings (Settings): Of the report.
        out (Path): PNG to write.
    """
    backbones = {entry.row.backbone for entry in entries}
    figure, axes = plt.subplots(figsize=(1.6 + 1.3 * len(entries), 4), layout='constrained')
    for x, entry in enumerate(entries):
        if entry.row.value is not None:
            label = None if axes.get_legend_handles_labels()[1] else 'published'
            axes.plot(x - 0.12, entry.row.value, 'D', color='tab:gray', label=label)
        if entry.values:
            known = axes.get_legend_handles_labels()[1]
            seeds = [x + 0.12] * len(entry.values)
            label = None if 'ours, each seed' in known else 'ours, each seed'
            axes.plot(seeds, entry.values, 'o', color='tab:blue', label=label, alpha=0.8)
            middle = sum(entry.values) / len(entry.values)
            axes.hlines(middle, x + 0.02, x + 0.22, color='tab:blue')
    names = [
        entry.row.attention
        if len(backbones) == 1
        else f'{entry.row.backbone}\n{entry.row.attention}'
        for entry in entries
    ]
    title = f'{table}, synthetic sample ({settings.difficulty})' if settings.sample else table
    axes.set_xticks(range(len(entries)), names)
    axes.set(xlim=(-0.6, len(entries) - 0.4), xlabel='attention', title=title)
    axes.set_ylabel(f'{entries[0].row.metric.name} (%)')
    low, high = axes.get_ylim()
    if high - low < _LEAST_SPAN:
        axes.set_ylim((low + high - _LEAST_SPAN) / 2, (low + high + _LEAST_SPAN) / 2)
    axes.grid(axis='y', alpha=0.3)
    axes.legend()
    save_figure(figure, out)


def draw_curves(entries: list, out: Path) -> None:
    """Validations against the step: thin the seeds, thick their mean.

    Args:
        entries (list): Entries of :mod:`mmca.reproduce.report`.
        out (Path): PNG to write.
    """
    figure, axes = plt.subplots(figsize=(7, 4.5), layout='constrained')
    backbones = {entry.row.backbone for entry in entries}
    for number, entry in enumerate(entries):
        curves = [run['curve'] for run in entry.runs.values() if run.get('curve')]
        if not curves:
            continue
        color, row = f'C{number % 10}', entry.row
        name = row.attention if len(backbones) == 1 else f'{row.backbone}, {row.attention}'
        for curve in curves:
            axes.plot(*zip(*curve, strict=True), color=color, linewidth=0.7, alpha=0.4)
        # Steps that every seed has: an interrupted run may lack one.
        shared = sorted(set.intersection(*({step for step, _ in curve} for curve in curves)))
        means = [sum(dict(curve)[step] for curve in curves) / len(curves) for step in shared]
        axes.plot(shared, means, color=color, marker='.', label=f'{name} ({len(curves)})')
    metric = entries[0].row.metric
    axes.set(xlabel='step', ylabel=f'validation {metric.long_name} (%)')
    axes.grid(alpha=0.3)
    axes.legend(title='attention (seeds)')
    save_figure(figure, out)
