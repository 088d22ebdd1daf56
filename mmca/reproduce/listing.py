"""What ``tools/reproduce.py list`` prints of a table."""

from mmca.tables.render import text_table

from .report import entries_of
from .settings import Settings


def list_table(table: str, settings: Settings) -> str:
    """Rows with published, computed and trained figures, and the commands that fill them.

    Raises:
        UnknownRowError: If there is no such table, or it has no rows at this scale.
    """
    entries = entries_of(table, settings)
    header = ['config', 'params (M): published', 'computed', 'M-Adds (M): published', 'computed']
    header += [f'{entries[0].row.metric.name} (%): published', 'ours']
    lines = [header]
    for entry in entries:
        lines.append([entry.row.config, *entry.figures])
    pretrained = any(entry.row.pretraining for entry in entries)
    run = settings.run_command(table)
    return (
        f'\n{table}{", from a backbone that is pretrained first" if pretrained else ""}\n'
        f'{text_table(lines)}\n  all rows: {run}\n  one row:  {run} --row CONFIG\n'
    )
