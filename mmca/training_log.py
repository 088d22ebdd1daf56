"""Reading what a training logged."""

import json
from pathlib import Path


def read_scalars(work_dir: str | Path) -> list[dict]:
    """Logged scalars of a run, in order, with the parts of an interrupted run joined.

    A resumed run repeats the iterations after its checkpoint; the later record counts.

    Raises:
        FileNotFoundError: If the folder holds no log of mmengine's.
    """
    logs = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not logs:
        raise FileNotFoundError(f'{work_dir}: no */vis_data/scalars.json; was it trained here?')
    records = {}
    for log in logs:
        for line in log.read_text().splitlines():
            record = json.loads(line)
            records['loss' in record, record['step']] = record
    return [records[key] for key in sorted(records)]
