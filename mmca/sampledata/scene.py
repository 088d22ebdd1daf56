"""A scene: an image and its objects with exact masks and boxes, drawn from a seed."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .classes import EASY_STYLES, HARD_STYLES, VOC_CLASSES, Style
from .drawing import background, shape_mask, texture_weight

SPLITS = ('train', 'val')

#: Numbers of objects of consecutive scenes, beginning anew after the last one.
OBJECTS_PER_SCENE = (2, 3, 4)
_MIN_IN_FRAME = 0.7


@dataclass(frozen=True)
class _Difficulty:
    styles: dict[str, Style]
    extent: float  # of a lone object, as a share of the frame's side; more objects share it
    turn: float  # largest rotation in radians
    min_visible: float  # share of an object that the ones in front leave visible
    noise: float  # standard deviation in grey levels


_SETTINGS = {
    'easy': _Difficulty(EASY_STYLES, extent=0.95, turn=0.35, min_visible=0.8, noise=4),
    'hard': _Difficulty(HARD_STYLES, extent=0.75, turn=np.pi, min_visible=0.55, noise=8),
}
DIFFICULTIES = tuple(_SETTINGS)


@dataclass(frozen=True)
class Instance:
    """One object of a scene.

    Attributes:
        label: Class number, 1 to 20 in VOC's order; 0 is the background.
        mask: Visible pixels, boolean ``(H, W)``.
        box: Tight box of the visible pixels, ``(x1, y1, x2, y2)`` in pixels from 0, the upper
            ends exclusive.
        truncated: Whether the frame cuts the object off.
        occluded: Whether another object covers a part of it.
    """

    label: int
    mask: np.ndarray
    box: tuple[int, int, int, int]
    truncated: bool
    occluded: bool

    @property
    def name(self) -> str:
        """Name of the class."""
        return VOC_CLASSES[self.label - 1]


@dataclass(frozen=True)
class Scene:
    """An RGB image, uint8 ``(H, W, 3)``, and its objects from back to front."""

    image: np.ndarray
    instances: list[Instance]

    @property
    def class_map(self) -> np.ndarray:
        """Class of every pixel, uint8 ``(H, W)``."""
        return self._paint([instance.label for instance in self.instances])

    @property
    def instance_map(self) -> np.ndarray:
        """Number of the object at every pixel from 1, uint8 ``(H, W)``; 0 is the background."""
        return self._paint(range(1, len(self.instances) + 1))

    def jpeg(self) -> bytes:
        """The image as a JPEG file."""
        bgr = cv2.cvtColor(self.image, cv2.COLOR_RGB2BGR)
        return cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()

    def _paint(self, values) -> np.ndarray:
        result = np.zeros(self.image.shape[:2], np.uint8)
        for instance, value in zip(self.instances, values, strict=True):
            result[instance.mask] = value
        return result


@dataclass
class _Placed:
    """A shape in the frame while a scene is being composed."""

    label: int
    style: Style
    centre: tuple[float, float]
    radius: float
    angle: float
    mask: np.ndarray
    full_area: int


def scene_labels(seed: int, split: str, index: int, objects: Sequence[int]) -> list[int]:
    """Classes of a scene's objects from back to front, without drawing it; see `draw_scene`.

    They are dealt out in shuffled rounds of 20, so all classes come equally often in a split.
    """
    block, position = divmod(index, len(objects))
    first = block * sum(objects) + sum(objects[:position])
    labels = []
    for slot in range(first, first + objects[position]):
        shuffle = np.random.default_rng((seed, SPLITS.index(split), slot // 20, 20))
        labels.append(int(shuffle.permutation(20)[slot % 20]) + 1)
    return labels


def _draw_centre(
    place: str | None, size: tuple[int, int], rng: np.random.Generator
) -> tuple[float, float]:
    x, y = rng.uniform(0.15, 0.85, 2)
    if place == 'upper':
        y = rng.uniform(0.15, 0.4)
    elif place == 'lower':
        y = rng.uniform(0.6, 0.85)
    elif place == 'centre':
        x = rng.uniform(0.4, 0.6)
    elif place == 'side':
        x = rng.choice([rng.uniform(0.1, 0.25), rng.uniform(0.75, 0.9)])
    return x * size[1], y * size[0]


def _place(
    label: int,
    settings: _Difficulty,
    extent: float,
    placed: list[_Placed],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> _Placed | None:
    """Find room for one more object in front of the others, shrinking it when there is little."""
    height, width = size
    style = settings.styles[VOC_CLASSES[label - 1]]
    radius = rng.uniform(0.75, 1) * extent * min(size) / 2
    for attempt in range(1, 61):
        centre = _draw_centre(style.place, size, rng)
        angle = rng.uniform(-settings.turn, settings.turn)
        mask = shape_mask(style.shape, size, centre, radius, angle)
        middle = (centre[0] + width, centre[1] + height)
        whole = shape_mask(style.shape, (3 * height, 3 * width), middle, radius, angle)
        full_area = int(whole.sum())
        if mask.sum() >= _MIN_IN_FRAME * full_area and all(
            (other.mask & ~mask).sum() >= settings.min_visible * other.full_area for other in placed
        ):
            return _Placed(label, style, centre, radius, angle, mask, full_area)
        if attempt % 20 == 0:
            radius *= 0.85
    return None


def _compose(
    labels: list[int], settings: _Difficulty, size: tuple[int, int], rng: np.random.Generator
) -> list[_Placed]:
    """Place all objects, from back to front, beginning anew when one finds no room."""
    extent = settings.extent / np.sqrt(len(labels))
    while True:
        placed: list[_Placed] = []
        for label in labels:
            item = _place(label, settings, extent, placed, size, rng)
            if item is None:
                break
            placed.append(item)
        else:
            return placed


def _random_colours(hue: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A vivid colour and a much darker or paler one for the texture."""
    first = 255 * np.array(colorsys.hsv_to_rgb(hue % 1, rng.uniform(0.5, 1), 0.95))
    return first, first * 0.3 if rng.random() < 0.5 else 255 - (255 - first) * 0.25


def _paint_object(
    image: np.ndarray, item: _Placed, colours: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    size = item.mask.shape
    weight = texture_weight(item.style.texture, size, item.centre, item.radius, item.angle)
    first, second = (colour.astype(np.float32) for colour in colours)
    paint = first + weight[..., None] * (second - first)
    opacity = cv2.GaussianBlur(item.mask.astype(np.float32), (3, 3), 0.6)[..., None]
    return image + opacity * (paint - image)


def _instance(item: _Placed, in_front: np.ndarray) -> Instance:
    visible = item.mask & ~in_front
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    truncated = int(item.mask.sum()) < item.full_area
    return Instance(item.label, visible, box, truncated, bool((item.mask & in_front).any()))


def draw_scene(
    split: str,
    index: int,
    *,
    seed: int = 0,
    difficulty: str = 'easy',
    size: tuple[int, int] = (128, 128),
    objects: Sequence[int] = OBJECTS_PER_SCENE,
) -> Scene:
    """Draw one scene; the same arguments give the same scene, whatever was drawn before.

    Args:
        split: ``'train'`` or ``'val'``.
        index: Number of the scene in its split, from 0.
        seed: Seed of the dataset, 0 or more.
        difficulty: ``'easy'``: colour, shape and texture all tell the class. ``'hard'``: colours
            are random and the objects are smaller and turned; shape and texture tell the class,
            and for four pairs of classes only the place in the frame does.
        size: Height and width in pixels.
        objects: How many objects consecutive scenes of the split have; ``(1,)`` for one each.
    """
    if difficulty not in DIFFICULTIES:
        raise ValueError(f'difficulty must be one of {DIFFICULTIES}, got {difficulty!r}')
    if split not in SPLITS:
        raise ValueError(f'split must be one of {SPLITS}, got {split!r}')
    settings = _SETTINGS[difficulty]
    rng = np.random.default_rng((seed, SPLITS.index(split), index))
    labels = scene_labels(seed, split, index, objects)

    image = background(size, rng)
    placed = _compose(labels, settings, size, rng)
    hues = rng.random() + np.arange(len(placed)) / len(placed)
    for item, hue in zip(placed, hues, strict=True):
        if difficulty == 'easy':
            colour = np.array(item.style.colour, np.float64)
            colours = (colour, colour * 0.72)
        else:
            colours = _random_colours(hue, rng)
        image = _paint_object(image, item, colours)
    image = image * rng.uniform(0.9, 1.05) + rng.normal(0, settings.noise, image.shape)

    instances, in_front = [], np.zeros(size, bool)
    for item in reversed(placed):
        instances.insert(0, _instance(item, in_front))
        in_front |= item.mask
    return Scene(np.clip(image, 0, 255).round().astype(np.uint8), instances)
