"""Damages of images and masks."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from .damage_of_files import IMAGES, Damage, flip, pick

_MODES = ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'YCbCr', 'I', 'F', 'I;16')
# None that a resize at constant proportions makes less than a pixel high: OpenCV refuses that.
_SIZES = (1, 1), (1, 40), (48, 1), (40, 48), (47, 40), (96, 80), (2, 2), (200, 8)
_FILLS = (0, 1, 2, 3, 20, 254, 255, 256, 65535, -1, 0.5, float('nan'))


def _in_image(change: Callable[[Path, Image.Image, Damage], None]) -> Callable:
    def damage_image(path: Path, damage: Damage) -> None:
        before = path.read_bytes()
        try:
            with Image.open(io.BytesIO(before)) as image:
                image.load()
                change(path, image, damage)
        except Exception:  # it was damaged before, or its format cannot hold the mode
            path.write_bytes(before)
            flip(path, damage)

    damage_image.__name__ = change.__name__
    return damage_image


def _change_mode(path: Path, image: Image.Image, damage: Damage) -> None:
    image = image.convert(pick(_MODES, damage.place))
    image.save(path, pick(('PNG', 'TIFF', 'JPEG', 'GIF', 'BMP', 'WEBP', 'PPM'), damage.value))


def _change_size(path: Path, image: Image.Image, damage: Damage) -> None:
    # A mask with its image, every other time.
    pair = path.parents[1].rglob(f'{path.stem}.*') if damage.value % 2 else [path]
    for file in [file for file in pair if file.suffix in IMAGES]:
        with Image.open(file) as image:
            resized = image.resize(pick(_SIZES, damage.place), Image.Resampling.NEAREST)
        resized.save(file)


def _turn(path: Path, image: Image.Image, damage: Damage) -> None:
    exif = Image.Exif()
    exif[0x0112] = damage.place % 10
    image.save(path, exif=exif)


def _fill(path: Path, image: Image.Image, damage: Damage) -> None:
    value = pick(_FILLS, damage.value)
    kind = pick((np.uint8, np.uint16, np.int32, np.float32), damage.place)
    array = np.asarray(image.convert('L')).astype(kind)
    rows = pick((slice(None), slice(1), slice(20)), damage.file)
    with np.errstate(invalid='ignore'):
        array[rows] = np.array(value).astype(kind)
    Image.fromarray(array).save(path, 'TIFF' if kind == np.float32 else 'PNG')


def _add_frame(path: Path, image: Image.Image, damage: Damage) -> None:
    form = pick(('GIF', 'TIFF', 'PNG', 'WEBP'), damage.place)
    image.save(path, form, save_all=True, append_images=[image.rotate(90)])


OF_IMAGES = list(map(_in_image, (_change_mode, _change_size, _turn, _fill, _add_frame)))
