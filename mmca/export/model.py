"""From a config and a checkpoint to the model of OpenMMLab, and what is known about it."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, DefaultScope
from torch import Tensor, nn

from mmca.checkpoint import load_file, require_match, state_dict_of
from mmca.config_walk import config_datasets, leaf_transforms
from mmca.errors import UserError
from mmca.export.metadata import ExportMetadata
from mmca.export.resizing import resizing_of
from mmca.version import __version__

TASKS = {'mmpretrain': 'classification', 'mmseg': 'segmentation', 'mmdet': 'detection'}


class LoadedModel(NamedTuple):
    """A trained model of mmpretrain, mmseg or mmdet, in evaluation mode, and its config."""

    model: nn.Module
    cfg: Config
    task: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]

    def normalisation(self) -> tuple[Tensor, Tensor, bool]:
        """Mean and standard deviation, (3,), and whether the network takes RGB.

        Raises:
            UserError: If the config normalises in another way.
        """
        before = self.model.data_preprocessor
        mean, std = getattr(before, 'mean', None), getattr(before, 'std', None)
        if mean is None or mean.numel() != 3:
            raise UserError(
                'the data_preprocessor has no mean and std of 3 channels: it cannot be exported'
            )
        names = 'to_rgb', 'channel_conversion', '_channel_conversion'
        to_rgb = any(getattr(before, name, False) for name in names)
        return mean.flatten().float(), std.flatten().float(), bool(to_rgb)

    def metadata(self, **options) -> ExportMetadata:
        """The metadata of a file; ``options`` are those that the config does not decide."""
        mean, std, to_rgb = self.normalisation()
        pipeline = [
            transform
            for _, dataset in config_datasets(self.cfg, ['test_dataloader'])
            for transform in leaf_transforms(dataset.get('pipeline') or [])
        ]
        return ExportMetadata(
            task=self.task,
            classes=self.classes,
            palette=self.palette,
            mean=tuple(mean.tolist()),
            std=tuple(std.tolist()),
            channel_order='bgr',
            to_rgb=to_rgb,
            resize=resizing_of(pipeline),
            config=Path(self.cfg.filename or '').name,
            config_hash=hash_of(self.cfg),
            mmca_version=__version__,
            **options,
        )


def hash_of(cfg: Config) -> str:
    """SHA-256 of the settings of a config, wherever its file lies."""
    text = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def load_model(cfg: Config, checkpoint: str | Path) -> LoadedModel:
    """Build the model of a config, with all weights of a checkpoint; init_cfg is not followed.

    Raises:
        UserError: If the config is of none of the three tasks, or if the checkpoint does not fit.
    """
    task = TASKS.get(cfg.get('default_scope'))
    if task is None or 'model' not in cfg:
        raise UserError(
            f'{cfg.filename}: needs a model and default_scope = one of {", ".join(TASKS)}'
        )
    settings = dict(cfg.model)
    if cfg.get('data_preprocessor'):
        settings.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        # Not mmpretrain's or mmseg's own registry: the model may be of another library.
        with MODELS.switch_scope_and_registry(None) as registry:
            model = registry.build(settings)
        content = load_file(checkpoint)
        classes, palette = _classes(cfg, content)
    weights = state_dict_of(content, str(checkpoint), own=model.state_dict())
    remedy = f'Give one that was trained with {Path(cfg.filename or "this config").name}.'
    require_match(weights, model, f'Checkpoint {checkpoint}', remedy)
    model.load_state_dict(weights)
    return LoadedModel(model.eval(), cfg, task, classes, palette)


def _classes(cfg: Config, checkpoint: dict) -> tuple[tuple, tuple]:
    """Names and colours of the classes: the checkpoint's, else the config's or its dataset's."""
    meta = checkpoint.get('meta')
    known = dict((meta if isinstance(meta, dict) else {}).get('dataset_meta') or {})
    if not known.get('classes'):
        for _, dataset in config_datasets(cfg, ['test_dataloader']):
            cls = DATASETS.get(dataset['type']) if isinstance(dataset['type'], str) else None
            known = {**getattr(cls, 'METAINFO', {}), **(dataset.get('metainfo') or {})}
            break
    classes = tuple(map(str, known.get('classes') or ()))
    palette = known.get('palette')
    if not isinstance(palette, (list, tuple)) or len(palette) != len(classes):
        palette = ()
    return classes, tuple(tuple(map(int, colour)) for colour in palette)
