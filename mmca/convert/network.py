"""Which network a checkpoint holds, read off its shapes, and the tensors it has to consist of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Size

from mmca.checkpoint import attention_of
from mmca.models.backbones import MobileNeXt
from mmca.models.backbones.staged_backbone import StagedBackbone, scale_channels

from .scheme import build

Shapes = Mapping[str, Size]

# The first convolution of an attention.
_SQUEEZE = {
    'CoordinateAttention': 'conv1',
    'SqueezeExcitation': 'conv_reduce',
    'CBAM': 'conv_reduce',
}


@dataclass(frozen=True)
class Network:
    """A backbone with its options, and a linear classifier.

    Args:
        architecture (type): Our backbone.
        options (dict): Its options ``widen_factor``, ``attention`` and ``attention_position``,
            as far as they apply.
        classes (int | None): Outputs of the classifier; None if the checkpoint has none.
    """

    architecture: type[StagedBackbone]
    options: dict
    classes: int | None

    @property
    def attention(self) -> dict | None:
        return self.options['attention']

    def shapes(self) -> dict[str, Size]:
        """Shape of each tensor, in order, under our names. A classifier is always among them."""
        backbone = build(self.architecture, **self.options).state_dict()
        shapes = {f'backbone.{key}': value.shape for key, value in backbone.items()}
        features = [len(value) for value in backbone.values() if value.ndim == 4][-1]
        classes = self.classes or 0
        shapes['head.fc.weight'] = Size((classes, features))
        shapes['head.fc.bias'] = Size((classes,))
        return shapes

    def __str__(self) -> str:
        options = ', '.join(f'{key}={value!r}' for key, value in self.options.items())
        classes = 'no classifier' if self.classes is None else f'{self.classes} classes'
        return f'mmca.{self.architecture.__name__}({options}), {classes}'


def read_network(
    architecture: type[StagedBackbone], shapes: Shapes, attention: dict | None = None
) -> Network:
    """The network whose tensors fit the most of ``shapes``, which are under our names.

    Args:
        architecture (type): Our backbone.
        shapes (Shapes): Shape of each tensor.
        attention (dict | None): The attention that it has in any case; only its reduction is
            then looked for.
    """
    kernels = {key: shape for key, shape in shapes.items() if len(shape) == 4}
    options = dict(
        widen_factor=_widen_factor(architecture, kernels),
        attention=_attention(kernels, attention),
    )
    if architecture is MobileNeXt and options['attention']:
        # Blocks without their first depthwise convolution have an attention only after the last.
        last = any(key.startswith('backbone.layer3.0.attention.') for key in shapes)
        options['attention_position'] = 'last' if last else 'first'
    classes = None
    for key in ('head.fc.bias', 'head.fc.weight'):
        if shapes.get(key):  # and not of a single number
            classes = shapes[key][0]
    return Network(architecture, options, classes)


def _widen_factor(architecture: type[StagedBackbone], kernels: Shapes) -> float:
    nominal = {'conv1': 32, 'conv2': 1280}
    # The convolution whose outputs are those of its block.
    last_conv = 'expand_conv' if architecture is MobileNeXt else 'project_conv'
    for i, (_, channels, _, _) in enumerate(architecture.arch_settings, start=1):
        nominal[f'layer{i}.0.{last_conv}'] = channels
    found = {
        channels: kernels[key][0]
        for name, channels in nominal.items()
        if (key := f'backbone.{name}.conv.weight') in kernels
    }

    def fitting(factor: float) -> int:
        return sum(
            # Both networks keep 1280 channels when they become narrower.
            scale_channels(channels, max(1.0, factor) if channels == 1280 else factor) == width
            for channels, width in found.items()
        )

    # Several factors may give the same channels: round ones first.
    factors = (k / parts for parts in (4, 20, 100, 1000) for k in range(1, 4 * parts + 1))
    return max(factors, key=fitting)


def _attention(kernels: Shapes, known: dict | None) -> dict | None:
    kind = known['type'].removeprefix('mmca.') if known else attention_of(kernels)
    if kind not in _SQUEEZE:
        return None
    attention = dict(type=f'mmca.{kind}', reduction=_reduction(kind, kernels))
    if kind == 'CoordinateAttention' and not known:
        axes = [a for a in 'hw' if any(f'.attention.conv_{a}.' in key for key in kernels)]
        if axes != ['h', 'w']:
            attention['axes'] = ''.join(axes)
    if kind == 'CBAM':
        attention['kernel_size'] = next(_ends_with(kernels, '.conv_spatial.weight'))[-1]
    return attention


def _reduction(kind: str, kernels: Shapes) -> int:
    least = 8 if kind == 'CoordinateAttention' else 1
    squeezes = list(_ends_with(kernels, f'.attention.{_SQUEEZE[kind]}.weight'))
    highest = max((channels for _, channels, *_ in squeezes), default=1)

    def fitting(reduction: int) -> int:
        return sum(
            squeezed == max(least, channels // reduction) for squeezed, channels, *_ in squeezes
        )

    # Several may fit, of a narrow network above all: those in use first.
    return max((32, 24, 16, *range(1, highest + 1)), key=fitting)


def _ends_with(kernels: Shapes, suffix: str) -> Iterator[Size]:
    return (shape for key, shape in kernels.items() if key.endswith(suffix))
