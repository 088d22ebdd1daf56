"""Loaders that give no batch, or leave images out, and images that do not fit into one batch."""

from collections.abc import Callable, Sequence
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmca.errors import UserError

_UNEQUAL = 'stack expects each tensor to be equal size'  # torch's words


def check_batches(loader: DataLoader, name: str) -> None:
    """Raise a UserError if a loader gives nothing, or a validation or test would miss images.

    Args:
        loader (DataLoader): The loader.
        name (str): Its name in the config.
    """
    number = len(loader.dataset)
    if not number:
        raise UserError(
            f'{name}: its dataset holds no sample: look at its indices, filter_cfg, and the '
            'options of its wrappers'
        )
    endless = isinstance(loader.sampler, InfiniteSampler)
    if endless or not getattr(loader, 'drop_last', False):
        return
    count, size = len(loader.sampler), loader.batch_size
    if count < size:
        raise UserError(
            f'{name}: {count} images make no batch of {size}, and drop_last=True leaves out '
            f'smaller ones: set {name}.drop_last=False, or a smaller {name}.batch_size'
        )
    if name != 'train_dataloader' and count % size:
        raise UserError(
            f'{name}: drop_last=True leaves out {count % size} of {count} images, so that they are '
            f'not measured: set {name}.drop_last=False'
        )


class CollateNamingImages:
    """A loader's ``collate_fn`` that names images which the network cannot take.

    That are images of different sizes where they are stacked, and of another number of channels
    than the mean that is subtracted from them.

    Args:
        collate (Callable): The loader's own.
        loader (str): Its name in the config.
        channels (int): Of the mean; 0 if there is none.
    """

    def __init__(
        self, collate: Callable[[Sequence[Any]], Any], loader: str, channels: int = 0
    ) -> None:
        self.collate, self.loader, self.channels = collate, loader, channels

    def __call__(self, samples: Sequence[Any]) -> Any:
        for path, shape in _shapes(samples):
            # Of a single channel the mean makes three.
            if self.channels and shape[0] not in (1, self.channels):
                raise UserError(
                    f'{self.loader}: {path} has {shape[0]} channels when it leaves the pipeline, '
                    f'and the mean of the data_preprocessor {self.channels}: load it with '
                    "color_type='color', or give mean and std of its channels"
                )
        try:
            return self.collate(samples)
        except RuntimeError as error:
            shapes = _shapes(samples) if _UNEQUAL in str(error) else []
            other = next((image for image in shapes if image[1] != shapes[0][1]), None)
            if other is None:
                raise
            (path, (_, height, width)), (other_path, (_, other_height, other_width)) = (
                shapes[0],
                other,
            )
            raise UserError(
                f'{self.loader}: {path} is of {width}x{height} pixels when it leaves the '
                f'pipeline, {other_path} of {other_width}x{other_height}: images of one batch are '
                "of one size. Add dict(type='Resize', scale=(WIDTH, HEIGHT)) or a crop to the "
                f'pipeline, or set {self.loader}.batch_size=1'
            ) from error


def channels(model: nn.Module) -> int:
    """Channels of the mean that a model's data_preprocessor subtracts; 0 if it has none."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    mean = getattr(getattr(model, 'data_preprocessor', None), 'mean', None)
    return len(mean) if isinstance(mean, Tensor) and mean.ndim else 0


def _shapes(samples: Sequence[Any]) -> list[tuple[str, tuple[int, ...]]]:
    """(file, shape) of each image; none if the samples are others than the libraries'."""
    found = []
    for sample in samples:
        image = sample.get('inputs') if isinstance(sample, dict) else None
        if not isinstance(image, Tensor) or image.ndim != 3:
            return []
        path = getattr(sample.get('data_samples'), 'img_path', None) or 'an image'
        found.append((path, tuple(image.shape)))
    return found
