"""The metric of an exported file on its config's test set: ``tools/test.py --runtime``."""

import argparse

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.structures import InstanceData, PixelData
from torch.nn import functional as F

from mmca.checks.run import check_input
from mmca.engine.config import read_config
from mmca.engine.here import as_run_here
from mmca.engine.libraries import prepare_libraries
from mmca.engine.options import check_out, write_metrics
from mmca.engine.runner import Runner
from mmca.errors import UserError
from mmca.export.runtime import ExportedNetwork, load_exported
from mmca.export.targets import target_of
from mmca.registry import MODELS


@MODELS.register_module()
class ExportedModel(BaseModel):
    """An exported file in the place of the model that it was made from, for tests.

    Args:
        path (str): The file.
        threads (int | None): Threads of its runtime.
    """

    def __init__(self, path: str, threads: int | None = None) -> None:
        super().__init__()
        self.network = load_exported(path, threads)

    def forward(self, *args, **kwargs) -> None:
        raise NotImplementedError('an exported file is tested, not trained')

    def test_step(self, data: dict) -> list:
        """Predictions for a batch of images as a test pipeline packs them: (3, H, W), uint8."""
        images = [_fit(one, self.network) for one in data['inputs']]
        put = _PUT[self.network.metadata.task]
        for sample, found, image in zip(data['data_samples'], self.network.each(images), images):
            put(sample, found, image.shape[:2])
        return data['data_samples']


def _fit(image: torch.Tensor, network: ExportedNetwork) -> np.ndarray:
    """(H, W, 3), stretched if the file takes another size alone."""
    size = tuple(network.metadata.size)
    if not network.metadata.dynamic and tuple(image.shape[1:]) != size:
        resized = F.interpolate(image[None].float(), size, mode='bilinear', align_corners=False)
        image = resized[0].round().clamp(0, 255).byte()
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def _put_scores(sample, found: dict[str, np.ndarray], size: tuple[int, int]) -> None:
    scores = torch.from_numpy(found['scores'])
    sample.set_pred_score(scores).set_pred_label(scores.argmax(dim=0, keepdim=True))


def _put_class_map(sample, found: dict[str, np.ndarray], size: tuple[int, int]) -> None:
    labels = torch.from_numpy(found['class_map'])[None]
    if tuple(labels.shape[1:]) != tuple(sample.ori_shape):
        labels = F.interpolate(labels[None].float(), sample.ori_shape, mode='nearest')[0].long()
    sample.set_data({'pred_sem_seg': PixelData(data=labels)})


def _put_boxes(sample, found: dict[str, np.ndarray], size: tuple[int, int]) -> None:
    kept = found['labels'] >= 0
    boxes = torch.from_numpy(found['boxes'][kept])
    height, width = sample.ori_shape
    boxes *= torch.tensor([width / size[1], height / size[0]] * 2)  # to pixels of the picture
    sample.pred_instances = InstanceData(
        bboxes=boxes,
        scores=torch.from_numpy(found['scores'][kept]),
        labels=torch.from_numpy(found['labels'][kept]),
    )


_PUT = {'classification': _put_scores, 'segmentation': _put_class_map, 'detection': _put_boxes}


def test_exported(args: argparse.Namespace) -> None:
    """What ``tools/test.py --runtime`` does.

    Raises:
        UserError: For whatever the user can mend.
    """
    path, given = args.checkpoint, target_of(args.checkpoint)
    if given != args.runtime:
        raise UserError(f'{path}: is a file for --runtime {given}, not {args.runtime}')
    for name in ('show', 'show_dir', 'tta'):
        if getattr(args, name):
            raise UserError(f'--{name.replace("_", "-")} does not go with --runtime')
    prepare_libraries()
    cfg = read_config(args)
    if args.out:
        check_out(args.out)
    check_input(cfg, ['test_dataloader'])
    here = as_run_here(cfg)
    _use_file(here, path)
    metrics = Runner.from_cfg(here, given=cfg).test()
    if args.out:
        write_metrics(metrics, args.out)


def _use_file(cfg: Config, path: str) -> None:
    cfg.model = dict(type='mmca.ExportedModel', path=path)
    cfg.pop('data_preprocessor', None)
    cfg.load_from = None
