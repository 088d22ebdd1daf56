"""Sizes of images as they load, from their headers alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from mmca.images.colours import refuse_mode
from mmca.images.opening import BadImageError, open_image
from mmca.progress import track

from .kept import Kept, stamp
from .thin import Thin

_ORIENTATION = 0x0112
_FLIPPED = (2, 3, 4)  # EXIF orientations that keep width and height
_TURNED = (5, 6, 7, 8)  # those that swap them


class ImageSize(NamedTuple):
    """Size of an image in pixels.

    Attributes:
        width: Of the pixels as the file stores them.
        height: The same.
        orientation: How the file's EXIF has the image shown; 1 as it is stored.
    """

    width: int
    height: int
    orientation: int = 1

    @property
    def turned(self) -> bool:
        """Whether the file's EXIF swaps width and height."""
        return self.orientation in _TURNED

    def loaded(self, exif: bool) -> tuple[int, int]:
        """Width and height of what a loader returns that obeys EXIF, or does not."""
        return (self.height, self.width) if self.turned and exif else (self.width, self.height)


def size_problem(
    path: Path, size: ImageSize | str | None, said: tuple[float, float] | None, exif: bool
) -> str | None:
    """What to say if annotations give an image another size than it loads with.

    Args:
        path: The image.
        size: Its size; None if unknown; what is wrong with the image if it will not load.
        said: Width and height in the annotations; None if they say none.
        exif: Whether it is turned as its EXIF says when it is loaded.
    """
    if isinstance(size, str):
        return size
    if size is None or said is None or tuple(said) == size.loaded(exif):
        return None
    width, height = size.loaded(exif)
    if size.turned and exif and tuple(said) == (size.width, size.height):
        return (
            f'{path} is stored as {size.width}x{size.height} pixels, but its EXIF turns it to '
            f'{width}x{height} when it is loaded: where the boxes lie as it is stored, remove the '
            f'orientation from the file; where they lie as it is shown, give {width}x{height}'
        )
    return (
        f'the annotations are of {said[0]:g}x{said[1]:g} pixels, but {path} loads as '
        f'{width}x{height}: restore the image, or scale size and boxes to it'
    )


def thin_problem(
    path: Path, size: ImageSize | str | None, exif: bool, thin: Thin | None
) -> str | None:
    """What to say of an image, arguments as above, of which a resize leaves nothing."""
    problem = thin(size.loaded(exif)) if thin and isinstance(size, ImageSize) else None
    return problem and f'{path} {problem}'


def warn_of_flips(sizes: Mapping[Path, ImageSize | str | None]) -> None:
    """Say on stderr which images EXIF turns without a change of their size, if any.

    Nothing tells whether their annotations are of the image as it is stored or as it is shown.
    """
    flipped = [
        path
        for path, size in sizes.items()
        if isinstance(size, ImageSize) and size.orientation in _FLIPPED
    ]
    if flipped:
        print(
            f'Warning: the EXIF of {len(flipped)} images, such as {flipped[0]}, turns them by 180 '
            'degrees or mirrors them, and so they are loaded: if boxes or masks lie on them as '
            'they are stored, remove the orientation from the files',
            file=sys.stderr,
        )


def read_sizes(
    paths: Iterable[Path], plain: bool = True, color_type: str = 'color'
) -> dict[Path, ImageSize | str | None]:
    """Sizes of the images that exist.

    Where reading them takes long, they are kept below ``~/.cache/mmca`` (``XDG_CACHE_HOME``), and
    read again only if modification time or length of the file differ.

    Args:
        paths: The images.
        plain: Whether they are loaded in the usual way, as mmca does. If so, what is wrong with an
            image that will not load takes the place of its size; else its size is unknown, None.
        color_type: The loader's; not every mode loads in colour.
    """
    paths = list(dict.fromkeys(map(Path, paths)))
    # Of a folder of each class none takes long.
    kept = {folder: Kept('images', folder, color_type) for folder in {p.parent for p in paths}}
    known = {folder: store.load() for folder, store in kept.items()}
    read: dict[Path, dict] = {}
    sizes: dict[Path, ImageSize | str] = {}
    for path in track(paths, 'reading image sizes', silent=2):
        if (now := stamp(path)) is None:
            continue
        entry = known[path.parent].get(path.name)
        if not isinstance(entry, list) or entry[:2] != now or len(entry) != 5:
            try:
                entry = [*now, *_read(path, color_type)]
            except BadImageError as error:
                sizes[path] = str(error)
                continue
            read.setdefault(path.parent, {})[path.name] = entry
        sizes[path] = ImageSize(*entry[2:])
    for folder, entries in read.items():
        kept[folder].save(known[folder] | entries)
    return sizes if plain else {p: None if isinstance(s, str) else s for p, s in sizes.items()}


def _read(path: Path, color_type: str) -> ImageSize:
    with open_image(str(path)) as image:
        refuse_mode(image, str(path), color_type)
        # Not image.getexif(): that of a PNG decodes the whole image to look behind it.
        orientation = Image.Image.getexif(image).get(_ORIENTATION)
        # A TIFF says already how it lies once loaded.
        known = orientation in (*_FLIPPED, *_TURNED) and image.format != 'TIFF'
        return ImageSize(*image.size, orientation if known else 1)
