"""Batch norm in training needs two values a channel: a single image may not give them."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.model import is_model_wrapper
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import BatchSampler, DataLoader

from mmca.complexity.config import input_size
from mmca.errors import UserError

_TOO_FEW = 'Expected more than 1 value per channel'  # torch's words


@contextmanager
def single_values_told() -> Iterator[None]:
    """Within, batch norm of a single value a channel is a UserError that names the setting."""
    try:
        yield
    except ValueError as error:
        if _TOO_FEW not in str(error):
            raise
        raise UserError(
            f'batch norm got a single value for each channel ({error}): set '
            'train_dataloader.batch_size to 2 or more; if only the last batch of an epoch is '
            'smaller, set train_dataloader.drop_last=True'
        ) from error


def check_single_images(model: nn.Module, loader: DataLoader, cfg: Config) -> None:
    """Raise a UserError if the training makes a batch of one image that batch norm cannot take.

    Args:
        model (nn.Module): The model, which stays as it is.
        loader (DataLoader): That of the training.
        cfg (Config): The config; says how large an image is.
    """
    reason = _single_image(loader)
    if not reason:
        return
    while is_model_wrapper(model):
        model = model.module
    height, width = input_size(cfg, 'train_dataloader')
    if name := _failing_layer(model, height, width):
        raise UserError(
            f'{reason}, for which the batch norm {name} has a single value a channel (input '
            f'{height}x{width}), and that cannot be normalised'
        )


def _single_image(loader: DataLoader) -> str:
    """Which setting makes a batch of one image, and what to do; '' if none does."""
    batches = loader.batch_sampler
    if type(batches) is not BatchSampler:
        return ''
    size = batches.batch_size
    if size == 1:
        return 'train_dataloader.batch_size=1: set it to 2 or more. A batch is one image'
    number = 0 if isinstance(batches.sampler, InfiniteSampler) else len(batches.sampler)
    if number % size == 1 and not batches.drop_last:
        return (
            f'train_dataloader.batch_size={size}: set train_dataloader.drop_last=True, or another '
            f'batch_size. Of {number} images the last batch of an epoch is one'
        )
    return ''


@torch.no_grad()
def _failing_layer(model: nn.Module, height: int, width: int) -> str:
    """Name of the batch norm that cannot take one image; '' if all can, or if it is not known."""
    model = copy.deepcopy(model).to('meta').train()  # shapes alone
    entered = []
    for name, layer in model.named_modules():
        if isinstance(layer, _BatchNorm):
            layer.register_forward_pre_hook(lambda *_, name=name: entered.append(name))
    try:
        with torch.random.fork_rng(devices=[]):
            model(torch.zeros(1, 3, height, width, device='meta'), mode='tensor')
    except ValueError as error:
        return entered[-1] if _TOO_FEW in str(error) and entered else ''
    except Exception:  # a model that is not called so
        return ''
    return ''
