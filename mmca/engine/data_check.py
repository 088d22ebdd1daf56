from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config


class MissingDataError(FileNotFoundError):
    """A dataset that a config names is not where the config says."""


def leaf_datasets(dataset: dict) -> Iterator[dict]:
    """The datasets inside wrappers such as ConcatDataset and RepeatDataset."""
    inner = dataset.get('datasets') or ([dataset['dataset']] if 'dataset' in dataset else [])
    if not inner:
        yield dataset
    for child in inner:
        yield from leaf_datasets(child)


def config_datasets(cfg: Config, loaders: Sequence[str]) -> Iterator[tuple[str, dict]]:
    """(loader's name, dataset config) for each dataset of the loaders that ``cfg`` has."""
    for loader in loaders:
        if cfg.get(loader):
            for dataset in leaf_datasets(cfg[loader]['dataset']):
                yield loader, dataset


def config_metrics(cfg: Config) -> Iterator[dict]:
    """The metrics of the evaluators that ``cfg`` has."""
    for name in ('val_evaluator', 'test_evaluator'):
        metrics = cfg.get(name) or []
        yield from metrics if isinstance(metrics, list) else [metrics]


def set_data_root(cfg: Config, data_root: str) -> None:
    """Point every dataset of ``cfg``, and the annotations of its metrics, at ``data_root``."""
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    for _, dataset in config_datasets(cfg, loaders):
        dataset['data_root'] = data_root
    former = f'{cfg.get("data_root")}/'
    for metric in config_metrics(cfg):
        if metric.get('ann_file', '').startswith(former):
            metric['ann_file'] = f'{data_root}/{metric["ann_file"].removeprefix(former)}'
    cfg.data_root = data_root


def check_datasets(cfg: Config, loaders: Sequence[str]) -> None:
    """Raise a MissingDataError if a file or folder of a dataset does not exist.

    Args:
        cfg (Config): A config; its ``data_command`` says how to get the data.
        loaders (Sequence[str]): Names of the dataloaders to check.
    """
    for loader, dataset in config_datasets(cfg, loaders):
        for path in _paths(dataset):
            # A Path turns s3://x into s3:/x.
            if ':/' not in str(path) and not path.exists():
                command = cfg.get('data_command')
                fetch = f'Get the data with\n    {command}\nor say' if command else 'Say'
                raise MissingDataError(
                    f'No data: the {loader} of this config wants {path}, which does not exist. '
                    f'{fetch} where it is with --data-root DIR (now: {dataset.get("data_root")}).'
                )


def _paths(dataset: dict) -> Iterator[Path]:
    root = Path(dataset.get('data_root') or '')
    if root != Path():
        yield root
    if dataset.get('ann_file'):
        yield root / dataset['ann_file']
    for prefix in (dataset.get('data_prefix') or {}).values():
        yield root / prefix
