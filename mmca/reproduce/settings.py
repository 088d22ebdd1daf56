"""Where a run takes its data and leaves its work, at full scale and on the sample."""

from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmca.tables import CLASSIFIER, Method, Row

from .step import StepError

ROOT = Path(__file__).parents[2]
# Layout of the sample, for each method: options of tools/prepare_data.py, the folder's suffix, and
# the data root in it.
_SAMPLE = {
    'DeepLabV3': ((), '', 'VOCdevkit/VOC2012'),
    'SSDLite320': (('--layout', 'coco'), '_coco', ''),
    'classifier': (
        ('--layout', 'imagenet', '--train', '4000', '--val', '1000', '--size', '64'),
        '_imagenet',
        '',
    ),
}


def home() -> Path:
    """Folder with ``configs`` and ``tools``: the checkout, or the installed ``mmca/.mim``."""
    installed = Path(__file__).parents[1] / '.mim'
    return installed if installed.is_dir() else ROOT


def config_path(name: str) -> Path:
    """File of a config, by name."""
    return home() / 'configs' / f'{name}.py'


@dataclass(frozen=True)
class Settings:
    """Options of ``tools/reproduce.py`` that all steps share.

    Attributes:
        scale: ``'full'``, ``'sample_easy'`` or ``'sample_hard'``.
        data: Folder in place of the ``data`` with which the data roots of configs begin.
        work: Folder for checkpoints and logs.
        results: Folder for records and reports.
        seeds: Number of seeds, from 0.
        pretrained: Given checkpoint of a classifier, by the name of its config.
        launcher: ``'none'``, ``'pytorch'`` or ``'slurm'``.
        gpus: Processes of the launcher ``'pytorch'``.
        partition: Of Slurm.
        train_options: Further options of ``tools/train.py``.
    """

    scale: str = 'full'
    data: Path = Path('data')
    work: Path = Path('work_dirs/reproduce')
    results: Path = Path('results')
    seeds: int = 1
    pretrained: dict[str, Path] = field(default_factory=dict)
    launcher: str = 'none'
    gpus: int = 1
    partition: str = ''
    train_options: tuple[str, ...] = ()

    @property
    def sample(self) -> bool:
        """Whether the rows run on the synthetic sample."""
        return self.scale != 'full'

    @property
    def difficulty(self) -> str:
        """Of the sample."""
        return self.scale.removeprefix('sample_')

    def run_command(self, table: str) -> str:
        """What reproduces a table at this scale."""
        scale = f' --scale sample --difficulty {self.difficulty}' if self.sample else ''
        return f'python tools/reproduce.py run {table}{scale}'

    @property
    def reports(self) -> Path:
        """Folder of the reports at this scale."""
        return self.results / self.scale if self.sample else self.results

    def work_dir(self, config: str, seed: int) -> Path:
        """Folder of one training."""
        return self.work / self.scale / config / f'seed_{seed}'

    def record(self, config: str, seed: int) -> Path:
        """File with the outcome of one training."""
        return self.reports / 'runs' / f'{config}_seed_{seed}.json'

    def sample_command(self, method: Method) -> list[str]:
        """Options of ``tools/prepare_data.py`` that draw the sample for a method."""
        options, suffix, _ = _SAMPLE[method.name]
        where = ['--out', str(self.data / f'{self.scale}{suffix}')]
        return ['sample', '--difficulty', self.difficulty, *options, *where]

    def data_root(self, row: Row) -> Path:
        """Data root of the datasets of a row's config."""
        if self.sample:
            _, suffix, inner = _SAMPLE[row.method.name]
            return self.data / f'{self.scale}{suffix}' / inner
        root = Path(Config.fromfile(config_path(row.config)).data_root)
        return self.data / root.relative_to('data') if root.is_relative_to('data') else root

    def require_data(self, row: Row) -> None:
        """Raise a StepError if the data of a row, which is not drawn here, is not there."""
        root = self.data_root(row)
        if self.sample or root.exists():
            return
        command = Config.fromfile(config_path(row.config)).data_command
        raise StepError(
            f'No data: {row.config} wants {root}, which does not exist: get it with '
            f'`{command} --data-root {self.data}`, or say where it is with --data DIR'
            + (
                f'. Rows that start from it take its weights with --pretrained {row.config}=FILE'
                if row.method == CLASSIFIER
                else ''
            )
        )
