"""A network of mmseg, mmdet or mmpretrain with the weights of a checkpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope

from mmca.checkpoint import load_file
from mmca.config_walk import leaf_datasets, library_of, loading_of, type_name
from mmca.datasets.transforms import LoadImageFromFile
from mmca.errors import UserError
from mmca.export.model import TASKS, classes_of
from mmca.export.targets import TARGETS
from mmca.models.trained import build_trained

from .colours import complete_palette
from .gates import attention_layers
from .network import Network, Prepared
from .predictions import Classification, Detections, Prediction, Segmentation


class TrainedNetwork(Network):
    """Predicts as the test of the config does, on images instead of a dataset.

    Args:
        config (str | Path): Config file of mmseg, mmdet or mmpretrain.
        checkpoint (str | Path): Its weights, all of them.
        device (str | None): Where to compute; default: the first GPU if there is one.

    Raises:
        UserError: If the config is missing or has no test pipeline that reads images, or if the
            checkpoint cannot be read or does not fit.
    """

    def __init__(
        self, config: str | Path, checkpoint: str | Path, device: str | None = None
    ) -> None:
        if not Path(config).is_file():
            raise UserError(f'{config}: no such config; they are in configs/')
        if not str(config).endswith(('.py', '.json', '.yaml', '.yml')):
            raise UserError(
                f'{config}: neither a config (.py) nor an exported file '
                f'({", ".join(TARGETS.values())})'
            )
        cfg = Config.fromfile(config)
        scope = library_of(cfg.get('model') or {}) or cfg.get('default_scope')
        if scope not in TASKS:
            raise UserError(
                f'{config}: its default_scope is {scope!r}; predictions are made with configs of '
                f'{", ".join(TASKS)}'
            )
        self.name, self.task = Path(config).name, TASKS[scope]
        loaded = load_file(checkpoint)
        remedy = 'Give a checkpoint of this config.'
        self.model = build_trained(cfg, scope, loaded, str(checkpoint), remedy)
        with DefaultScope.overwrite_default_scope(scope):
            first, rest = _test_pipeline(cfg, config)
            self._pipeline = Compose(rest)
            self.classes, palette = classes_of(cfg, loaded)
        self._to_float32 = first.pop('to_float32', False)
        self.loader = LoadImageFromFile(**first)
        self.palette = complete_palette(palette, len(self.classes))
        self.attentions = attention_layers(self.model)
        device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
        self.model.to(device)
        if device.type == 'cpu':
            # Pictures side by side, a thread each, need no waiting for each other; and the maps of
            # several pictures together are so large that the C library returns them to the kernel.
            self.calls, self.batch_size = torch.get_num_threads(), 1

    def begin_thread(self) -> None:
        """Compute with one thread where several compute side by side."""
        if self.calls > 1:
            torch.set_num_threads(1)

    def prepare(self, image: np.ndarray) -> Prepared:
        """Run the test pipeline on an image as the loader gives it."""
        image = image.astype(np.float32) if self._to_float32 else image
        shape = image.shape[:2]
        info = dict(img=image, img_shape=shape, ori_shape=shape, img_path='', img_id=0)
        data = self._pipeline(info)
        return Prepared(data, tuple(data['inputs'].shape[-2:]), shape)

    def predict(self, batch: Sequence[Prepared]) -> list[Prediction]:
        """Run the network once on images of one shape."""
        with torch.inference_mode():
            samples = self.model.test_step(pseudo_collate([prepared.data for prepared in batch]))
        return [self._read(sample) for sample in samples]

    def _read(self, sample: Any) -> Prediction:
        if self.task == 'segmentation':
            classes = sample.pred_sem_seg.data[0].cpu().numpy()
            return Segmentation(classes.astype(np.uint8 if len(self.classes) <= 256 else np.int64))
        if self.task == 'classification':
            return Classification(sample.pred_score.float().cpu().numpy())
        found = sample.pred_instances.cpu()
        order = np.argsort(-found.scores.numpy(), kind='stable')
        boxes = getattr(found.bboxes, 'tensor', found.bboxes)
        return Detections(
            boxes.float().numpy()[order], found.scores.numpy()[order], found.labels.numpy()[order]
        )


def _test_pipeline(cfg: Config, config: str | Path) -> tuple[dict, list[dict]]:
    """Options by which the config's test reads an image, and the transforms after it."""
    loader = cfg.get('test_dataloader') or {}
    datasets = list(leaf_datasets(loader['dataset'])) if 'dataset' in loader else [{}]
    first, *others = datasets[0].get('pipeline') or [{}]
    if type_name(first) != 'LoadImageFromFile':
        raise UserError(
            f'{config}: test_dataloader.dataset.pipeline does not begin with LoadImageFromFile, so '
            'it is not known how its network takes images'
        )
    options = {key: value for key, value in first.items() if key != 'type'} | loading_of([first])
    rest = [t for t in others if not type_name(t).startswith(('Load', 'FilterAnnotations'))]
    return options, rest
