"""Shapes, textures and backgrounds."""

from __future__ import annotations

import cv2
import numpy as np

Contours = list[np.ndarray]


def _arc(radius_x: float, radius_y: float, start: float = 0, stop: float = 360) -> np.ndarray:
    angles = np.radians(np.linspace(start, stop, 48))
    return np.stack([radius_x * np.cos(angles), radius_y * np.sin(angles)], axis=1)


def _star() -> np.ndarray:
    angles = np.radians(np.arange(10) * 36 - 90)
    radii = np.where(np.arange(10) % 2 == 0, 1.1, 0.48)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 64)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([np.sin(t) ** 3, -y / 16], axis=1)


def _crescent() -> np.ndarray:
    outer, inner = _arc(1.0, 1.0, 25, 335), _arc(0.72, 0.66, 335, 25)
    return np.concatenate([outer, inner + [0.25, 0]])


def _polygon(*corners: tuple[float, float]) -> np.ndarray:
    return np.array(corners, np.float64)


# Outlines in a frame of about [-1, 1] x [-1, 1], y downwards; a second contour is a hole.
SHAPES: dict[str, Contours] = {
    'disc': [_arc(0.9, 0.9)],
    'ring': [_arc(1.0, 1.0), _arc(0.5, 0.5)],
    'ellipse': [_arc(0.6, 1.1)],
    'crescent': [_crescent()],
    'heart': [_heart()],
    'star': [_star()],
    'square': [_polygon((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8))],
    'cross': [
        _polygon(
            *((-0.4, -1), (0.4, -1), (0.4, -0.4), (1, -0.4), (1, 0.4), (0.4, 0.4)),
            *((0.4, 1), (-0.4, 1), (-0.4, 0.4), (-1, 0.4), (-1, -0.4), (-0.4, -0.4)),
        )
    ],
    'ell': [_polygon((-0.9, -1), (-0.1, -1), (-0.1, 0.2), (0.9, 0.2), (0.9, 1), (-0.9, 1))],
    'tee': [
        _polygon(
            *((-1, -0.9), (1, -0.9), (1, -0.2), (0.38, -0.2)),
            *((0.38, 1), (-0.38, 1), (-0.38, -0.2), (-1, -0.2)),
        )
    ],
    'arrow': [
        _polygon(
            *((0, -1.1), (1, 0), (0.42, 0), (0.42, 1)),
            *((-0.42, 1), (-0.42, 0), (-1, 0)),
        )
    ],
}


def shape_mask(
    shape: str, size: tuple[int, int], centre: tuple[float, float], radius: float, angle: float
) -> np.ndarray:
    """Rasterise a shape.

    Args:
        shape: Key of ``SHAPES``.
        size: Height and width of the frame in pixels.
        centre: x and y in pixels; the shape may stick out of the frame.
        radius: Half of the shape's extent in pixels.
        angle: Rotation in radians.

    Returns:
        Boolean array ``(H, W)``.
    """
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    # fillPoly takes fixed-point coordinates: `shift` is the number of fractional bits.
    contours = [
        np.round((contour @ rotation * radius + centre) * 16).astype(np.int32)
        for contour in SHAPES[shape]
    ]
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, contours, 1, shift=4)
    return mask.astype(bool)


def texture_weight(
    texture: str, size: tuple[int, int], centre: tuple[float, float], radius: float, angle: float
) -> np.ndarray:
    """Share of the second colour at every pixel, 0 or 1, float32 ``(H, W)``; see `shape_mask`."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    x, y = (x - centre[0]) / radius, (y - centre[1]) / radius
    u = x * np.cos(angle) + y * np.sin(angle)
    v = y * np.cos(angle) - x * np.sin(angle)
    if texture == 'plain':
        second = np.zeros(size, bool)
    elif texture == 'stripes':
        second = np.floor(v * 3) % 2 == 1
    elif texture == 'checker':
        second = (np.floor(u * 2.5) + np.floor(v * 2.5)) % 2 == 1
    elif texture == 'dots':
        second = np.hypot((u * 2) % 1 - 0.5, (v * 2) % 1 - 0.5) < 0.32
    else:
        raise ValueError(f'unknown texture {texture!r}')
    return second.astype(np.float32)


def background(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Muted grey clouds with a gradient, ``(H, W, 3)`` float32 in 0..255."""
    height, width = size
    clouds = rng.normal(0, 14, (6, 6, 1)) + rng.normal(0, 4, (6, 6, 3))
    image = cv2.resize(clouds.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    image += rng.uniform(85, 160) + rng.uniform(-8, 8, 3)
    slope_y, slope_x = rng.uniform(-25, 25, 2)
    image += (np.linspace(-1, 1, height) * slope_y)[:, None, None]
    image += (np.linspace(-1, 1, width) * slope_x)[None, :, None]
    return image.astype(np.float32)
