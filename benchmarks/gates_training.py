"""One short training of :mod:`gates`, and what it records of the gates and the gradients."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import cos, pi
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from mmca.errors import UserError
from mmca.models import MobileNetV2
from mmca.models.backbones.insertion import insert_attention

CA = dict(type='mmca.CoordinateAttention', reduction=32)
# Of ImageNet's pictures, from 0 to 1: what the weights were trained with.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Outside of these a sigmoid's derivative is below a fifth of its largest.
SATURATED = 0.05, 0.95
TOLERANCE = 1e-3
WARM_UP = 0.1  # share of the iterations


class Start(NamedTuple):
    """How a variant begins.

    Args:
        attention (bool): With coordinate attention.
        bias (float | None): Of the last layers before the gates' sigmoids; None: as they are.
        warm_up (bool): The learning rate rises over the first tenth of the iterations.
    """

    attention: bool = True
    bias: float | None = None
    warm_up: bool = False


class Settings(NamedTuple):
    """What the variants of a part share: network, pictures, optimiser."""

    width: float
    iterations: int
    lr: float
    size: int
    batch_size: int
    every: int
    autocast: bool


class Pictures(NamedTuple):
    """Pictures (N, 3, H, W) in uint8, and the classes (N,) they show."""

    images: Tensor
    labels: Tensor


class Classifier(nn.Module):
    """(N, 3, H, W) to scores (N, K): backbone, global average, linear layer."""

    def __init__(self, backbone: MobileNetV2, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.conv2.out_channels, classes)
        nn.init.normal_(self.head.weight, 0, 0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images)[-1].mean((2, 3)))


def read_pictures(folder: Path, count: int) -> Pictures:
    """The first ``count`` pictures of the class folders, as many of each class.

    Raises:
        UserError: If there are too few, or of several sizes.
    """
    names = sorted(path for path in folder.glob('*') if path.is_dir())
    each = count // max(1, len(names))
    paths = [sorted(name.glob('*.[jp][pn]g'))[:each] for name in names]
    if each == 0 or any(len(found) < each for found in paths):
        raise UserError(
            f'{folder}: {count} pictures, equally many of each class, are not there; it needs a '
            'folder of JPEG or PNG pictures for each class'
        )
    arrays = []
    for path in (path for found in paths for path in found):
        with Image.open(path) as image:
            arrays.append(np.asarray(image.convert('RGB')))
    if len({array.shape for array in arrays}) > 1:
        raise UserError(f'{folder}: its pictures differ in size; give pictures of one size')
    labels = torch.arange(len(names)).repeat_interleave(each)
    return Pictures(torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2), labels)


def network_input(images: Tensor, size: int) -> Tensor:
    """Pictures (N, 3, H, W) in uint8, enlarged to (N, 3, size, size) and normalised."""
    shape = (1, 3, 1, 1)
    scaled = functional.interpolate(images.float() / 255, (size, size), mode='bilinear')
    scaled = (scaled - torch.tensor(MEAN).view(shape)) / torch.tensor(STD).view(shape)
    return scaled.contiguous(memory_format=torch.channels_last)


def batches(pictures: Pictures, settings: Settings, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches in a drawn order, half of the pictures mirrored; the same for all variants.

    Yields:
        tuple[Tensor, Tensor]: Images (N, 3, size, size) and classes (N,).
    """
    draws = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(pictures.labels), generator=draws)
        for chosen in order.split(settings.batch_size):
            if len(chosen) == settings.batch_size:
                mirrored = torch.rand(len(chosen), 1, 1, 1, generator=draws) < 0.5
                images = pictures.images[chosen]
                images = torch.where(mirrored, images.flip(3), images)
                yield network_input(images, settings.size), pictures.labels[chosen]


def build(
    start: Start, width: float, seed: int, classes: int, weights: Mapping[str, Tensor] | None
) -> Classifier:
    """The network of a variant; what it shares with the others of its seed starts the same.

    Args:
        start (Start): Of the variant.
        width (float): Of the backbone.
        seed (int): Draws what is fresh.
        classes (int): Outputs.
        weights (Mapping | None): Of the plain backbone; None: fresh ones.
    """
    plain = _backbone(None, width, seed)
    if weights is not None:
        plain.load_state_dict(weights)
    backbone = plain
    if start.attention:
        backbone = _backbone(CA, width, seed + 1000)
        if weights is not None:
            backbone.load_state_dict(
                insert_attention(plain.state_dict(), backbone, bias=start.bias)
            )
        else:
            backbone.load_state_dict(plain.state_dict(), strict=False)
            for layer in gate_layers(backbone) if start.bias is not None else ():
                nn.init.constant_(layer.bias, start.bias)
    torch.manual_seed(seed)
    return Classifier(backbone, classes)


def _backbone(attention: dict | None, width: float, seed: int) -> MobileNetV2:
    torch.manual_seed(seed)
    backbone = MobileNetV2(widen_factor=width, attention=attention, out_indices=(7,))
    logging.disable(logging.INFO)  # mmengine's, a line for each tensor
    backbone.init_weights()
    logging.disable(logging.NOTSET)
    return backbone


def gate_layers(model: nn.Module) -> list[nn.Conv2d]:
    """The last layer before each sigmoid, two of each attention."""
    names = 'attention.conv_h', 'attention.conv_w'
    return [layer for name, layer in model.named_modules() if name.endswith(names)]


def projections(model: nn.Module) -> list[nn.Conv2d]:
    """The 1x1 convolutions after the places of the attentions, also of a plain network."""
    return [
        block.project_conv.conv
        for block in model.modules()
        if hasattr(block, 'project_conv') and not isinstance(block.expand_conv, nn.Identity)
    ]


def difference(model: Classifier, plain: Classifier, images: Tensor) -> float:
    """Of the backbones' maps, relative to the plain one's largest; of both modes the larger.

    Raises:
        UserError: If they do not compute the same.
    """
    found = 0.0
    for training in (False, True):
        with torch.no_grad():
            maps = [one.train(training).backbone(images)[-1] for one in (plain, model)]
        found = max(found, float((maps[1] - maps[0]).abs().max() / maps[0].abs().max()))
    if not found <= TOLERANCE:
        raise UserError(f'the start does not compute what the plain network does: {found:.1e}')
    return found


@contextmanager
def gates_seen(model: nn.Module) -> Iterator[list[Tensor]]:
    """Within, the gates (N, C, L) of each layer, L its rows or columns, as they are computed."""
    seen: list[Tensor] = []

    def look(layer: nn.Conv2d, inputs: tuple[Tensor], output: Tensor) -> None:
        # As the kernels compute them: bfloat16 around 2 would round small movements away.
        with torch.no_grad(), torch.autocast('cpu', enabled=False):
            gates = functional.conv2d(inputs[0].float(), layer.weight, layer.bias).sigmoid()
        seen.append(gates.flatten(2))

    hooks = [layer.register_forward_hook(look) for layer in gate_layers(model)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def summary(gates: list[Tensor]) -> dict[str, float]:
    """Of the gates: over pictures and positions of a channel, then over channels, then layers."""
    means = [layer.mean((0, 2)) for layer in gates]
    moves = [float(layer.std((0, 2)).mean()) for layer in gates]
    low, high = SATURATED
    outside = [float(((layer < low) | (layer > high)).float().mean()) for layer in gates]
    found = {
        'mean': [float(layer.mean()) for layer in means],
        'std': moves,  # how far a gate depends on the picture and the place in it
        'std_of_channels': [float(layer.std()) for layer in means],
        'saturated': outside,
    }
    found = {name: (sum(x) / len(x), min(x), max(x)) for name, x in found.items()}
    return {
        f'gates_{name}{end}': value
        for name, values in found.items()
        for end, value in zip(('', '_least', '_most'), values)
    }


def gradients(model: nn.Module) -> dict[str, float]:
    """Mean over layers of ||gradient|| / ||weight||, and the gate layers' two norms.

    Weights of inserted gates start at 0, where the ratio does not exist.
    """
    steps = [
        layer.weight.grad.norm() / layer.weight.detach().norm() for layer in projections(model)
    ]
    found = {'projection_step': float(torch.stack(steps).mean())}
    if layers := [layer.weight for layer in gate_layers(model)]:
        found['gates_gradient'] = float(torch.stack([one.grad.norm() for one in layers]).mean())
        found['gates_weight'] = float(torch.stack([one.detach().norm() for one in layers]).mean())
    return found


def train(
    model: Classifier, start: Start, settings: Settings, pictures: Pictures, seed: int
) -> dict[str, list[float]]:
    """Columns of what is recorded every so many iterations, the loss as the mean since the last."""
    model.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), settings.lr, 0.9, weight_decay=1e-4)
    last, warm = settings.iterations - 1, settings.iterations * WARM_UP
    columns: dict[str, list[float]] = {}
    losses = []
    for number, (images, labels) in zip(
        range(settings.iterations), batches(pictures, settings, seed)
    ):
        rate = settings.lr * (1 + cos(pi * number / settings.iterations)) / 2
        optimizer.param_groups[0]['lr'] = rate * (
            min(1, (number + 1) / warm) if start.warm_up else 1
        )
        recorded = number % settings.every == 0 or number == last
        gates: list[Tensor] = []
        # Hooks let the layers run one by one: only where they are looked at.
        if recorded:
            with gates_seen(model) as gates:
                scores = _scores(model, images, settings.autocast)
        else:
            scores = _scores(model, images, settings.autocast)
        loss = functional.cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        losses.append(float(loss.detach()))
        if recorded:
            row = {'iteration': number, 'loss': sum(losses) / len(losses), **gradients(model)}
            row |= summary(gates) if gates else {}
            for name, value in row.items():
                columns.setdefault(name, []).append(float(f'{value:.5g}'))
            losses = []
        optimizer.step()
    return columns


def _scores(model: nn.Module, images: Tensor, autocast: bool) -> Tensor:
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        return model(images).float()


def accuracy(model: nn.Module, settings: Settings, pictures: Pictures) -> float:
    """Percent of the pictures whose class has the highest score."""
    model.eval()
    hits = 0
    with torch.inference_mode():
        for images, labels in zip(pictures.images.split(250), pictures.labels.split(250)):
            scores = _scores(model, network_input(images, settings.size), settings.autocast)
            hits += int((scores.argmax(1) == labels).sum())
    return 100 * hits / len(pictures.labels)


def run(
    start: Start,
    settings: Settings,
    data: dict[str, Pictures],
    weights: Mapping[str, Tensor] | None,
    seed: int,
) -> dict:
    """One training: test accuracy, final loss, its records, and how far its start is exact."""
    classes = len(data['train'].labels.unique())
    model = build(start, settings.width, seed, classes, weights)
    found = {}
    if start.attention and weights is not None:
        images, _ = next(batches(data['train'], settings, seed))
        plain, same = (
            build(one, settings.width, seed, classes, weights) for one in (Start(False), start)
        )
        found['start_differs_by'] = float(f'{difference(same, plain, images):.2g}')
    started = time.perf_counter()
    records = train(model, start, settings, data['train'], seed)
    found['seconds'] = round(time.perf_counter() - started, 1)
    return {'test_accuracy': accuracy(model, settings, data['test']), **found, 'records': records}
