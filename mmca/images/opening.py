import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from mmca.errors import UserError
from mmca.files import stand_in

# What OpenCV reads, too. Pillow's own limits, twice 89 million pixels and a megabyte of text or
# colour profile, are for images that strangers send; these are the user's.
_LIMITS = (
    (Image, 'MAX_IMAGE_PIXELS', 2**29),  # Pillow refuses more than twice as many
    (PngImagePlugin, 'MAX_TEXT_CHUNK', 2**30),
    (PngImagePlugin, 'MAX_TEXT_MEMORY', 2**30),
)
# Formats whose further frames belong to the first: previews, depth maps, layers.
_ONE_PICTURE = ('MPO', 'PSD')
_NEW_SUBFILE_TYPE = 254  # TIFF
_REDUCED_OR_MASK = 1 | 4
_ORIENTATION, _FIRST_TURNED = 0x0112, 5  # EXIF: 5 to 8 exchange width and height
_SHOWN_BYTES, _LOOKED_AT = 16, 64


class BadImageError(UserError, ValueError):
    """An image or mask that cannot be read, or not right; the message names the file."""


@contextmanager
def open_image(path: str, content: bytes | None = None) -> Iterator[Image.Image]:
    """Context that holds Pillow's image of a file, not yet decoded.

    Args:
        path (str): The file, for messages, and to be read from unless there is ``content``.
        content (bytes | None): What the file holds.

    Raises:
        BadImageError: If the file is missing, damaged or no image, if it holds several
            pictures, or if decoding it within the context fails.
    """
    with naming_file(path), _raised_limits():
        if not (os.path.getsize(path) if content is None else content):
            raise BadImageError(
                f'{path}: cannot be decoded (empty, 0 bytes); restore it, or take it out of the '
                'dataset'
            )
        with Image.open(path if content is None else io.BytesIO(content)) as image:
            if (frames := _count_frames(image)) > 1:
                raise BadImageError(
                    f'{path}: holds {frames} pictures ({image.format}); save each in a file of '
                    'its own'
                )
            yield image


@contextmanager
def naming_file(path: str) -> Iterator[None]:
    """Context in which any failure becomes a BadImageError that names the file."""
    try:
        yield
    except BadImageError:
        raise
    except FileNotFoundError as error:
        raise BadImageError(
            f'{path}: no such image; restore it, or take it out of the dataset'
        ) from error
    except UnidentifiedImageError as error:
        raise BadImageError(
            f'{path}: cannot be decoded (no image that Pillow knows{_beginning(path)}); restore '
            'it, or take it out of the dataset'
        ) from error
    # Pillow and OpenCV report damage in a dozen ways.
    except Exception as error:
        raise BadImageError(
            f'{path}: cannot be decoded ({type(error).__name__}: {error}); restore it, or take '
            'it out of the dataset'
        ) from error


def raw_mode(image: Image.Image) -> str:
    """How the samples lie in the file, e.g. 'I;12' or 'RGB;16B'; known until it is decoded."""
    if not image.tile:
        return ''
    arguments = image.tile[0][3]
    raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw if isinstance(raw, str) else ''


def is_upright(image: Image.Image) -> bool:
    """Whether the EXIF asks for no turn."""
    return image.getexif().get(_ORIENTATION, 1) == 1


def turned(image: Image.Image) -> Image.Image:
    """An image as its EXIF says that it lies: Pillow's ``exif_transpose``, without its copy."""
    image.load()  # TIFF is turned by that
    return image if is_upright(image) else ImageOps.exif_transpose(image)


def displayed_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) after the turn that EXIF asks for, from the header alone."""
    # Pillow turns TIFF by itself.
    turned = image.format != 'TIFF' and image.getexif().get(_ORIENTATION, 1) >= _FIRST_TURNED
    return image.size[::-1] if turned else image.size


def _beginning(path: str) -> str:
    """The first bytes of a local file: they tell a web page or a list from an image."""
    try:
        with open(path, 'rb') as file:
            content = file.read(_LOOKED_AT)
    except OSError:
        return ''
    return f'; {stand_in(content) or f"it begins with {content[:_SHOWN_BYTES]!r}"}'


def _count_frames(image: Image.Image) -> int:
    """How many pictures a file holds; smaller copies of the first do not count."""
    frames = getattr(image, 'n_frames', 1)
    if frames == 1 or image.format in _ONE_PICTURE:
        return 1
    if image.format == 'TIFF':
        for index in range(1, frames):
            image.seek(index)
            frames -= bool(image.tag_v2.get(_NEW_SUBFILE_TYPE, 0) & _REDUCED_OR_MASK)
        image.seek(0)
    return frames


_lock = threading.Lock()
_former: list = []
_readers = 0


@contextmanager
def _raised_limits() -> Iterator[None]:
    """Context in which Pillow's limits are _LIMITS; entered by several threads at once, too."""
    global _readers
    with _lock:
        if not _readers:
            _former[:] = [getattr(owner, name) for owner, name, _ in _LIMITS]
            for owner, name, limit in _LIMITS:
                setattr(owner, name, limit)
        _readers += 1
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if not _readers:
                for (owner, name, _), limit in zip(_LIMITS, _former, strict=True):
                    setattr(owner, name, limit)
