from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config

from mmca.config_walk import config_datasets

from .folders import instead


def missing_paths(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """One line for each file or folder of a dataset that does not exist.

    The ``data_command`` of a config says how to get its data, if it looks for it where the
    command puts it, in ``prepared_root``: it does not know of a user's own data.
    """
    command, prepared = cfg.get('data_command'), cfg.get('prepared_root')
    missing = {}
    for loader, dataset in config_datasets(cfg, loaders):
        for path in _paths(dataset):
            # A Path turns s3://x into s3:/x.
            if ':/' in str(path) or path.exists():
                continue
            own = not command or dataset.get('data_root') != prepared
            fetch = 'say' if own else f'get the data with `{command}`, or say'
            missing.setdefault(
                path,
                f'No data: the {loader} of this config wants {path}, which does not exist; '
                f'{instead(path, alike=True)}: {fetch} where it is with --data-root DIR '
                f'(now: {dataset.get("data_root")})',
            )
            if path == Path(dataset.get('data_root') or ''):
                break
    return list(missing.values())


def _paths(dataset: dict) -> Iterator[Path]:
    root = Path(dataset.get('data_root') or '')
    if root != Path():
        yield root
    if dataset.get('ann_file'):
        yield root / dataset['ann_file']
    prefixes = dataset.get('data_prefix') or {}
    for prefix in [prefixes] if isinstance(prefixes, str) else prefixes.values():
        yield root / prefix
