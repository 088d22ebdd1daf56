import copy

import torch
from mmengine.config import Config
from mmengine.runner import BaseLoop
from mmengine.runner import Runner as _Runner
from torch import nn
from torch.utils.data import DataLoader

from mmca.config_walk import LOADERS

from .batch_norm import check_single_images
from .batches import CollateNamingImages, channels, check_batches
from .hooks import FiniteLossHook


class Runner(_Runner):
    """mmengine's Runner that is built from one config and writes down another.

    Logs, checkpoints and the work directory get the config that the user gave, so that the
    inference of mmseg, mmdet and mmpretrain can read it, and a machine with a GPU use it.
    """

    @classmethod
    def from_cfg(cls, cfg: Config, given: Config) -> 'Runner':
        """Build from ``cfg``, see :func:`mmca.engine.here.as_run_here`, and write ``given``."""
        cfg = copy.copy(cfg)
        cfg.given = given
        return super().from_cfg(cfg)

    def __init__(self, *args, cfg: Config, **kwargs) -> None:
        self._built_from = cfg
        super().__init__(*args, cfg=cfg.pop('given'), **kwargs)
        self.register_hook(FiniteLossHook())
        for note in cfg.notes:  # not before: the log file has just been opened
            self.logger.warning(note)

    def setup_env(self, env_cfg: dict) -> None:
        # mmengine's init_dist calls it whatever the backend; without a GPU it raises an error.
        set_device = torch.cuda.set_device
        if not torch.cuda.is_available():
            torch.cuda.set_device = lambda device: None
        try:
            super().setup_env(env_cfg)
        finally:
            torch.cuda.set_device = set_device

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        loop = super().build_train_loop(loop)
        check_single_images(self.model, loop.dataloader, self.cfg)
        return loop

    def build_dataloader(self, dataloader: DataLoader | dict, *args, **kwargs) -> DataLoader:
        given = [name for name in LOADERS if getattr(self, f'_{name}') is dataloader]
        loader = super().build_dataloader(dataloader, *args, **kwargs)
        if given:
            check_batches(loader, given[0])
            loader.collate_fn = CollateNamingImages(
                loader.collate_fn, given[0], channels(self.model)
            )
        return loader

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        # It alone takes settings from self.cfg.
        given, self.cfg = self.cfg, self._built_from
        try:
            return super().wrap_model(self.cfg.get('model_wrapper_cfg'), model)
        finally:
            self.cfg = given
