"""From a config and a checkpoint to the model of OpenMMLab, and what is known about it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from torch import Tensor, nn

from mmca.checkpoint import first_meta, load_file
from mmca.config_walk import config_datasets, leaf_transforms, loading_of
from mmca.errors import UserError
from mmca.export.metadata import ExportMetadata
from mmca.export.resizing import resizing_of
from mmca.models.trained import build_trained
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
            loading=loading_of(pipeline),
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
    content = load_file(checkpoint)
    remedy = f'Give one that was trained with {Path(cfg.filename or "this config").name}.'
    model = build_trained(cfg, cfg.default_scope, content, f'Checkpoint {checkpoint}', remedy)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        classes, palette = classes_of(cfg, content)
    if not isinstance(palette, (list, tuple)) or len(palette) != len(classes):
        palette = ()
    palette = tuple(tuple(map(int, colour)) for colour in palette)
    return LoadedModel(model, cfg, task, classes, palette)


def classes_of(cfg: Config, checkpoint: Mapping) -> tuple[tuple[str, ...], Any]:
    """Names and palette: the checkpoint's, else the config's, else its dataset's, else numbers.

    The palette is as it was given: one colour for each class, a name such as mmdet's ``'random'``,
    or None.
    """
    meta = checkpoint.get('meta')
    entries = [first_meta(meta.get('dataset_meta'))] if isinstance(meta, Mapping) else []
    for _, dataset in config_datasets(cfg, ['test_dataloader']):
        entries.append(dataset.get('metainfo') or {})
        kind = dataset.get('type')
        if isinstance(kind, str):
            with DATASETS.switch_scope_and_registry(None) as registry:
                kind = registry.get(kind)
        entries.append(getattr(kind, 'METAINFO', {}))
    entries = [{key.lower(): value for key, value in entry.items()} for entry in entries]
    numbers = {'classes': tuple(map(str, range(_num_classes(cfg.model))))}
    found = next((entry for entry in entries if entry.get('classes')), numbers)
    names = found['classes']
    names = (names,) if isinstance(names, str) else tuple(map(str, names))
    return names, found.get('palette')


def _num_classes(node: Any) -> int:
    """The greatest ``num_classes`` anywhere in a config."""
    children = node.values() if isinstance(node, Mapping) else node
    nested = [_num_classes(c) for c in children if isinstance(c, (Mapping, list, tuple))]
    own = node.get('num_classes') if isinstance(node, Mapping) else None
    return max([own if isinstance(own, int) else 0, *nested])
