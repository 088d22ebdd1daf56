import numpy as np
from PIL import Image


def voc_palette() -> list[int]:
    """PASCAL VOC's palette as 768 numbers: the label's bits, spread over R, G and B from the top.

    Source: ``VOClabelcolormap.m`` of the VOC development kit; label 1 is (128, 0, 0).
    """
    labels = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((labels >> channel & 1) << (7 - bit)).astype(np.uint8)
        labels = labels >> 3
    return colours.flatten().tolist()


def palette_image(labels: np.ndarray) -> Image.Image:
    """An ``(H, W)`` uint8 label map as a PIL image in mode P with the VOC palette."""
    image = Image.fromarray(np.ascontiguousarray(labels, np.uint8))
    image.putpalette(voc_palette())
    return image
