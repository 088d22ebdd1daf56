"""A training pipeline as it is, of the libraries' plain transforms, and of torchvision's v2."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2


def plain_row(pipeline: Iterable[dict]) -> list[dict]:
    """The transforms of the libraries that a pipeline's fused ones stand for."""
    row = []
    for transform in pipeline:
        options = {key: value for key, value in transform.items() if key != 'type'}
        expand = _ROWS.get(transform['type'].removeprefix('mmca.'))
        row += expand(options) if expand else [dict(transform)]
    return row


def _load(options: dict) -> list[dict]:
    return [dict(type='LoadImageFromFile', imdecode_backend='pillow')]


def _load_crop(options: dict) -> list[dict]:
    crop = dict(type='RandomResizedCrop', scale=options['scale'], backend='pillow')
    return [*_load(options), crop, dict(type='RandomFlip', prob=options['flip_prob'])]


def _segmentation(options: dict) -> list[dict]:
    size = tuple(options['crop_size'])
    rotate, blur, colours = (options.get(name) for name in ('rotate', 'blur', 'photometric'))
    crop = {k: options[k] for k in ('crop_size', 'cat_max_ratio', 'ignore_index') if k in options}
    return [
        dict(
            type='RandomResize',
            scale=options['scale'],
            ratio_range=options['ratio_range'],
            keep_ratio=True,
        ),
        *([dict(type='RandomRotate', **rotate)] if rotate else []),
        dict(type='RandomCrop', **crop),
        *([dict(type='mmca.RandomGaussianBlur', **blur)] if blur else []),
        dict(type='RandomFlip', prob=options['flip_prob']),
        *([] if colours is None else [dict(type='PhotoMetricDistortion', **colours)]),
        dict(type='Pad', size=size[::-1], pad_val=options.get('pad_val', dict(img=0, seg=255))),
    ]


def _detection(options: dict) -> list[dict]:
    return [
        dict(type='PhotoMetricDistortion', **(options.get('photometric') or {})),
        dict(type='Expand', **(options.get('expand') or {})),
        dict(type='mmca.RandomSampleCrop', min_ious=options['min_ious']),
        dict(type='RandomFlip', prob=options['flip_prob']),
        dict(type='Resize', scale=options['scale'], keep_ratio=False),
    ]


_ROWS = {
    'LoadImageFromFile': _load,
    'LoadRandomResizedCrop': _load_crop,
    'LoadSegAnnotations': lambda options: [dict(type='LoadAnnotations')],
    'SegAugmentation': _segmentation,
    'SSDAugmentation': _detection,
}


def torchvision_recipe(name: str, pipeline: Iterable[dict]) -> Callable[[dict], object]:
    """Transforms v2 of the recipe, on Pillow's images, as torchvision's own trainings have them.

    They have no limit on a crop's commonest label, and an IoU crop that demands its IoU of all
    boxes. A result is a tensor of bytes, as the other pipelines hand one over.
    """
    options = {t['type'].removeprefix('mmca.'): t for t in pipeline}
    if name.startswith('imagenet'):
        side = options['LoadRandomResizedCrop']['scale']
        return _on_image(v2.RandomResizedCrop(side, antialias=True), v2.RandomHorizontalFlip())
    if name == 'cifar10':
        steps = v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), v2.Resize(64)
        return _on_image(*steps)
    if 'SSDAugmentation' in options:
        side = options['SSDAugmentation']['scale'][::-1]
        steps = v2.Compose(
            [
                v2.RandomPhotometricDistort(),
                v2.RandomZoomOut(fill=[123, 117, 104]),
                v2.RandomIoUCrop(),
                v2.RandomHorizontalFlip(),
                v2.Resize(side, antialias=True),
                v2.SanitizeBoundingBoxes(),
                v2.PILToTensor(),
            ]
        )
        return lambda entry: steps(*_with_boxes(entry))
    given = options['SegAugmentation']
    steps = [v2.ScaleJitter(given['scale'][::-1], given['ratio_range'], antialias=True)]
    if given.get('rotate'):
        steps.append(v2.RandomRotation(given['rotate']['degree']))
    steps += [v2.RandomCrop(given['crop_size'], pad_if_needed=True), v2.RandomHorizontalFlip()]
    if given.get('blur'):
        steps.append(v2.RandomApply([v2.GaussianBlur(5, (0.1, 1.0))]))
    if given.get('photometric') is not None:
        steps.append(v2.RandomPhotometricDistort())
    whole = v2.Compose([*steps, v2.PILToTensor()])
    return lambda entry: whole(_image(entry), _mask(entry))


def _on_image(*steps: torch.nn.Module) -> Callable[[dict], object]:
    whole = v2.Compose([*steps, v2.PILToTensor()])
    return lambda entry: whole(_image(entry))


def _image(entry: dict) -> Image.Image:
    return Image.open(entry['img_path']).convert('RGB')


def _mask(entry: dict) -> tv_tensors.Mask:
    return tv_tensors.Mask(np.array(Image.open(entry['seg_map_path'])))


def _with_boxes(entry: dict) -> tuple[Image.Image, dict]:
    image = _image(entry)
    boxes = tv_tensors.BoundingBoxes(
        [item['bbox'] for item in entry['instances']],
        format='XYXY',
        canvas_size=image.size[::-1],
    )
    return image, dict(boxes=boxes, labels=torch.zeros(len(boxes), dtype=torch.int64))
