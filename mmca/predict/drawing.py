"""Predictions drawn over their picture, with a legend beside it."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .predictions import Classification, Detections, Prediction, Segmentation

_MOST_LINES = 24
_LONGEST_NAME = 32
_GREY = (150, 150, 150)

Colours = Sequence[tuple[int, int, int]]


def draw(
    image: np.ndarray, prediction: Prediction, classes: Sequence[str], palette: Colours
) -> np.ndarray:
    """Draw a prediction over its picture.

    The size of the result depends on the picture's and on the classes alone.

    Args:
        image (np.ndarray): (H, W, 3) of uint8, BGR; or grey, (H, W).
        prediction (Prediction): Of this image.
        classes (Sequence[str]): Names of the classes.
        palette (Colours): RGB of each class.

    Returns:
        np.ndarray: (H' >= H, W' > W, 3) of uint8, BGR.
    """
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    picture = np.ascontiguousarray(image[:, :, 2::-1])
    size = int(np.clip(min(image.shape[:2]) / 26, 11, 60))
    if isinstance(prediction, Segmentation):
        colours = np.array(palette, np.uint8)[prediction.class_map]
        picture = cv2.addWeighted(picture, 0.45, colours, 0.55, 0)
    elif isinstance(prediction, Detections):
        picture = _with_boxes(picture, prediction, classes, palette, size)
    lines = _legend_lines(prediction, classes, palette)
    count = 5 if isinstance(prediction, Classification) else len(classes)
    legend = _legend(lines, min(count, len(classes), _MOST_LINES), classes, size)
    height = max(len(picture), len(legend))
    sides = [
        cv2.copyMakeBorder(
            side, 0, height - len(side), 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255)
        )
        for side in (picture, legend)
    ]
    return np.hstack(sides)[:, :, ::-1]


def legend_of(prediction: Prediction, classes: Sequence[str]) -> list[tuple[str, str, int]]:
    """(class, what is said of it, its number), the most important first."""
    if isinstance(prediction, Segmentation):
        shares = prediction.shares(len(classes))
        present = [number for number in np.argsort(-shares, kind='stable') if shares[number] > 0]
        return [(classes[n], f'{100 * shares[n]:.1f} %', int(n)) for n in present]
    if isinstance(prediction, Detections):
        counts = np.bincount(prediction.labels, minlength=len(classes))
        present = [number for number in np.argsort(-counts, kind='stable') if counts[number] > 0]
        return [(classes[n], str(counts[n]), int(n)) for n in present]
    return [(classes[n], f'{prediction.scores[n]:.3f}', n) for n in prediction.best()]


def _legend_lines(
    prediction: Prediction, classes: Sequence[str], palette: Colours
) -> list[tuple[tuple[int, int, int], str, str]]:
    """(colour, name, text) of each line; where all classes fit they keep their places."""
    said = legend_of(prediction, classes)
    if isinstance(prediction, Classification) or len(classes) > _MOST_LINES:
        return [(palette[n], name, text) for name, text, n in said[:_MOST_LINES]]
    texts = {number: text for _, text, number in said}
    return [(palette[n], name, texts.get(n, '')) for n, name in enumerate(classes)]


def _legend(lines: Sequence[tuple], count: int, classes: Sequence[str], size: int) -> np.ndarray:
    """A white column with room for ``count`` lines of any of the classes."""
    font = ImageFont.load_default(size)
    longest = max(font.getlength(_short(name)) for name in classes)
    step = round(1.6 * size)
    value = round(3 * size + longest)
    width = round(value + font.getlength('100.0 %') + size)
    column = Image.new('RGB', (width, count * step + size), 'white')
    pen = ImageDraw.Draw(column)
    for number, (colour, name, text) in enumerate(lines):
        top = number * step + size // 2
        pen.rectangle(
            (size, top, 2 * size, top + size), fill=colour if text else None, outline=_GREY
        )
        ink = 'black' if text else _GREY
        pen.text((2.5 * size, top + size), _short(name), ink, font, anchor='ls')
        pen.text((value, top + size), text, ink, font, anchor='ls')
    return np.array(column)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f'{name[: _LONGEST_NAME - 1]}…'


def _with_boxes(
    picture: np.ndarray, found: Detections, classes: Sequence[str], palette: Colours, size: int
) -> np.ndarray:
    canvas = Image.fromarray(picture)
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size)
    width, height = canvas.size
    # The best ones last, on top.
    for box, score, label in list(zip(found.boxes, found.scores, found.labels, strict=True))[::-1]:
        x1, y1, x2, y2 = np.clip(box, 0, [width - 1, height - 1] * 2).tolist()
        if x2 < x1 or y2 < y1:
            continue
        colour = palette[label]
        pen.rectangle((x1, y1, x2, y2), outline=colour, width=max(2, size // 6))
        text = f'{classes[label]} {score:.2f}'
        place = pen.textbbox((x1, max(y1, size * 1.2)), text, font, anchor='ls')
        pen.rectangle(place, fill=colour)
        ink = 'black' if sum(colour) > 380 else 'white'
        pen.text((x1, max(y1, size * 1.2)), text, ink, font, anchor='ls')
    return np.array(canvas)
