"""What ``tools/reproduce.py list`` prints of a table."""

from .report import computed, entries_of
from .settings import Settings


def list_table(table: str, settings: Settings) -> str:
    """Rows with published, computed and trained figures, and the commands that fill them.

    Raises:
        UnknownRowError: If there is no such table, or it has no rows at this scale.
    """
    entries = entries_of(table, settings)
    metric = entries[0].row.metric
    lines = [
        (
            'config',
            'params (M): published',
            'computed',
            'M-Adds (M): published',
            'computed',
            f'{metric} (%): published',
            'ours',
        ),
        *(
            (
                entry.row.config or f'({entry.row.backbone.split(" (")[0]}: quoted only)',
                str(entry.row.published.parameters) if entry.row.published else '',
                computed(entry.row.config)[0],
                str(entry.row.published.multiply_adds or '') if entry.row.published else '',
                computed(entry.row.config)[1],
                entry.published,
                entry.trained,
            )
            for entry in entries
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = '\n'.join(
        '  '.join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))])
        for line in lines
    )
    first = next(entry.row for entry in entries if entry.row.config)
    pretrain = ', from a backbone that is pretrained first' if first.classifier else ''
    run = settings.run_command(table)
    return f'\n{table}{pretrain}\n{text}\n  all rows: {run}\n  one row:  {run} --row CONFIG\n'
