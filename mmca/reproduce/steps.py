"""The steps that reproduce rows: draw the sample, train (also the pretraining), test."""

import json
import time
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmca.engine.resume import training_checkpoints
from mmca.tables import Method, Row
from mmca.training_log import read_scalars

from . import records
from .settings import Settings, config_path, home
from .step import Step, StepError


@dataclass(frozen=True)
class Draw(Step):
    """Draw the sample that a method trains on."""

    method: Method
    settings: Settings

    @property
    def title(self) -> str:
        return f'draw the sample for {self.method.name}'

    def is_done(self) -> bool:
        return False  # tools/prepare_data.py verifies what is there

    def command(self) -> list[str]:
        options = self.settings.sample_command(self.method)
        return ['python', str(home() / 'tools/prepare_data.py'), *options]

    def log(self) -> Path:
        return self.settings.work / self.settings.scale / f'draw_{self.method.name}.log'


@dataclass(frozen=True)
class Train(Step):
    """Train a config with one seed, or go on with it."""

    row: Row
    seed: int
    settings: Settings

    @property
    def title(self) -> str:
        return f'train {self.row.config}, seed {self.seed}'

    @property
    def kind(self) -> Hashable:
        # Rows of one table differ in their attention alone.
        return 'train', self.row.method, self.row.metric

    @property
    def work_dir(self) -> Path:
        return self.settings.work_dir(self.row.config, self.seed)

    def log(self) -> Path:
        return self.work_dir / 'train.log'

    def end(self) -> tuple[str, int]:
        """Name of the last checkpoint, and its epoch or iteration."""
        loop = Config.fromfile(config_path(self.row.config)).train_cfg
        if 'max_epochs' in loop:
            return f'epoch_{loop.max_epochs}.pth', loop.max_epochs
        return f'iter_{loop.max_iters}.pth', loop.max_iters

    def checkpoint(self) -> Path:
        """The last checkpoint, whether it is there yet or not."""
        return self.work_dir / self.end()[0]

    def is_done(self) -> bool:
        if not self.checkpoint().is_file():
            return False
        self._check_origin()
        return True

    def start_from(self) -> Path | None:
        """Checkpoint of the classifier that gives the backbone; None from scratch."""
        row, settings = self.row.pretraining, self.settings
        if row is None:
            return None
        return settings.pretrained.get(row.config) or pretraining(row, settings).checkpoint()

    def origin(self) -> dict:
        """What the run depends on; it may not change while the run is interrupted."""
        start = self.start_from()
        return {
            'config': self.row.config,
            'config_sha256': records.config_hash(self.row.config),
            'seed': self.seed,
            'scale': self.settings.scale,
            'pretrained': self.row.pretraining.config if self.row.pretraining else None,
            'pretrained_sha256': records.file_hash(start) if start and start.is_file() else None,
            'train_options': list(self.settings.train_options),
        }

    def command(self) -> list[str]:
        self.settings.require_data(self.row)
        self._begin()
        options = [f'randomness.seed={self.seed}']
        if start := self.start_from():
            options.append(f'model.backbone.pretrained={start}')
        arguments = [*self.settings.train_options, '--work-dir', str(self.work_dir)]
        arguments += ['--data-root', str(self.settings.data_root(self.row))]
        arguments += ['--cfg-options', *options]
        if training_checkpoints(self.work_dir):
            arguments.append('--resume')
        return launch(self.settings, 'train', self.row.config, [], arguments)

    def _begun(self) -> dict:
        """What was noted when the run began; empty if it left no checkpoint."""
        file = self.work_dir / 'origin.json'
        if not training_checkpoints(self.work_dir):
            return {}
        if not file.is_file():
            raise StepError(
                f'{self.work_dir}: holds checkpoints, but not the origin.json that says of what. '
                'Move the folder away to train anew, or give another --work-dir.'
            )
        return json.loads(file.read_text())

    def _check_origin(self) -> None:
        begun, origin = self._begun(), self.origin()
        if not origin['pretrained_sha256']:  # deleted since
            del origin['pretrained_sha256']
        if changed := [key for key in origin if begun and begun.get(key) != origin[key]]:
            raise StepError(
                f'{self.work_dir}: this run was begun with another {", ".join(changed)}. '
                'Move the folder away to train anew, or give another --work-dir.'
            )

    def _begin(self) -> None:
        self._check_origin()
        begun = self._begun() or {**self.origin(), 'source': records.source_state(), 'parts': 0}
        begun['parts'] += 1
        records.write_json(self.work_dir / 'origin.json', begun)

    def progress(self) -> float:
        """Trained share, 0 to 1, by the log."""
        try:
            newest = [record for record in read_scalars(self.work_dir) if 'loss' in record][-1]
        except (FileNotFoundError, IndexError, ValueError):
            return 0.0
        last, total = self.end()
        done = newest['epoch'] - 1 if last.startswith('epoch') else newest['step']
        return min(done / total, 1.0)

    def finish(self, seconds: float) -> None:
        file = self.work_dir / 'origin.json'
        origin = json.loads(file.read_text())
        if origin['parts'] == 1:  # else the parts that were killed are not known
            origin['train_seconds'] = round(seconds)
            records.write_json(file, origin)
        if not self.is_done():
            raise StepError(f'{self.title}: ended without {self.checkpoint()}; see {self.log()}')


@dataclass(frozen=True)
class Evaluate(Step):
    """Evaluate the last checkpoint of a training, and record the outcome."""

    training: Train

    @property
    def title(self) -> str:
        return self.training.title.replace('train', 'test', 1)

    @property
    def kind(self) -> Hashable:
        return 'test', *self.training.kind[1:]

    @property
    def _metrics(self) -> Path:
        return self.training.work_dir / 'test' / 'metrics.json'

    def log(self) -> Path:
        return self.training.work_dir / 'test.log'

    def is_done(self) -> bool:
        row, settings = self.training.row, self.training.settings
        record = records.read_record(settings.record(row.config, self.training.seed))
        return bool(record) and record['config_sha256'] == records.config_hash(row.config)

    def command(self) -> list[str]:
        row, settings = self.training.row, self.training.settings
        self._metrics.unlink(missing_ok=True)
        arguments = ['--work-dir', str(self._metrics.parent), '--out', str(self._metrics)]
        arguments += ['--data-root', str(settings.data_root(row))]
        return launch(settings, 'test', row.config, [str(self.training.checkpoint())], arguments)

    def finish(self, seconds: float) -> None:
        row, settings = self.training.row, self.training.settings
        metrics = json.loads(self._metrics.read_text())
        origin = json.loads((self.training.work_dir / 'origin.json').read_text())
        record = {
            **origin,
            'metric': row.metric.name,
            'value': row.metric.percent(metrics),
            'metrics': metrics,
            'curve': self._curve(),
            'checkpoint': self.training.checkpoint().name,
            'checkpoint_sha256': records.file_hash(self.training.checkpoint()),
            'tested_with': records.source_state(),
            **records.environment(),
            'finished': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
        }
        records.write_json(settings.record(row.config, self.training.seed), record)

    def _curve(self) -> list[list[float]]:
        """(step, metric in percent) of the validations while it was trained."""
        metric = self.training.row.metric
        try:
            scalars = read_scalars(self.training.work_dir)
        except FileNotFoundError:
            return []
        return [[s['step'], metric.percent(s)] for s in scalars if metric.key in s]


def launch(
    settings: Settings, tool: str, config: str, positional: list[str], options: list[str]
) -> list[str]:
    """Command line of ``tools/train.py`` or ``tools/test.py``, through the launcher if any."""
    tools, path = home() / 'tools', str(config_path(config))
    if settings.launcher == 'pytorch':
        script = ['bash', str(tools / f'dist_{tool}.sh')]
        return [*script, path, *positional, str(settings.gpus), *options]
    if settings.launcher == 'slurm':
        script = ['bash', str(tools / f'slurm_{tool}.sh'), settings.partition, config]
        return [*script, path, *positional, *options]
    return ['python', str(tools / f'{tool}.py'), path, *positional, *options]


def pretraining(row: Row, settings: Settings) -> Train:
    """The training of a classifier that rows start from: with seed 0, for all their seeds."""
    return Train(row, 0, settings)
