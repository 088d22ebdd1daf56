"""Images so thin that a resize which keeps their shape leaves nothing of a side."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from mmca.config_walk import leaf_transforms, type_name

_RESHAPING = ('Crop', 'Pad')  # what follows sees other shapes

Thin = Callable[[tuple[int, int]], str | None]


def thin_images(pipeline: Iterable) -> Thin:
    """A function that says, by an image's width and height, what a pipeline would fail with.

    None if nothing. Known are the resizes of mmcv, mmdet, mmseg and mmpretrain.
    """
    resizes = list(_resizes(pipeline))

    def problem(size: tuple[int, int]) -> str | None:
        for setting, factor, rounding in resizes:
            if min(size) * factor(max(size), min(size)) + rounding < 1:
                return (
                    f'is of {size[0]}x{size[1]} pixels, of which {setting} leaves a side of 0: '
                    'take it out of the dataset, or cut it into less thin ones'
                )
        return None

    return problem


def _resizes(pipeline: Iterable) -> Iterator[tuple[str, Callable[[int, int], float], float]]:
    """(setting, smallest factor for a longer and a shorter side, what is added to round)."""
    for item in leaf_transforms(pipeline or []):
        name = type_name(item)
        if name == 'SegAugmentation':  # resizes, then crops
            yield f'{name}(scale={item["scale"]})', _within(_least(item)), 0.5
            return
        if any(word in name for word in _RESHAPING) or (
            'Resize' in name and item.get('scale') and item.get('keep_ratio') is False
        ):
            return
        if name == 'ResizeEdge' and item.get('edge') == 'long':
            scale = item['scale']
            yield f'ResizeEdge(scale={scale})', lambda long, short, scale=scale: scale / long, 0
        elif name in ('Resize', 'RandomResize', 'RandomChoiceResize'):
            for scale in _scales(item):
                yield f'{name}(scale={scale})', _within(scale), 0.5
            for factor in _factors(item):
                yield f'{name}(scale_factor={factor})', lambda *_, factor=factor: factor, 0.5


def _within(scale: tuple[float, float]) -> Callable[[int, int], float]:
    return lambda long, short: min(max(scale) / long, min(scale) / short)


def _least(item: Mapping) -> tuple[int, int]:
    least = min(item.get('ratio_range') or (0.5,))
    return tuple(int(side * least) for side in item['scale'])


def _scales(item: Mapping) -> Iterator[tuple[float, float]]:
    if not item.get('keep_ratio') and not (item.get('resize_cfg') or {}).get('keep_ratio'):
        return
    given = item.get('scales') or item.get('scale')
    least = min(item.get('ratio_range') or (1,))
    if isinstance(given, (int, float)):
        given = (given, given)
    for scale in given if isinstance(given, list) else [given]:
        sides = (scale, scale) if isinstance(scale, (int, float)) else scale
        if sides:
            yield tuple(int(side * least) for side in sides)


def _factors(item: Mapping) -> list[float]:
    given = item.get('scale_factor')
    return [] if item.get('scale') or not given else [min(given) if _several(given) else given]


def _several(value: object) -> bool:
    return isinstance(value, (list, tuple))
