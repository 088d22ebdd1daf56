"""What a user names to predict on: pictures, folders, globs, videos, cameras."""

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mmca.errors import UserError
from mmca.images.opening import BadImageError

PICTURES = ('.jpg', '.jpeg', '.jpe', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
VIDEOS = ('.mp4', '.avi', '.mkv', '.mov', '.webm', '.m4v', '.mpg', '.mpeg')
# The number of frames in a header may be an estimate.
_CUT_OFF = 0.98


class Frame(NamedTuple):
    """A picture to predict on, not yet read.

    Attributes:
        name: File name below the folder that all inputs share; of a video's frame the video's.
        number: Of a frame within its video, from 1; 0 for a picture.
        load: Gives the picture, as :meth:`Predictor.read`; raises a UserError that names the file.
    """

    name: str
    number: int
    load: Callable[[], np.ndarray]

    @property
    def label(self) -> str:
        """The name in tables."""
        return f'{self.name}#{self.number}' if self.number else self.name


class Source(NamedTuple):
    """A file or camera.

    Attributes:
        name: File name below the folder that all inputs share.
        path: The file; the number of a camera.
        frames: How many pictures it holds, None if that is not known.
        rate: Frames a second of a video or camera, 0 for a picture.
        error: Why there is nothing to be read, '' if there is.
    """

    name: str
    path: str | int
    frames: int | None = 1
    rate: float = 0.0
    error: str = ''


def find_sources(inputs: Sequence[str], out: Path) -> list[Source]:
    """The files and cameras that the ``inputs`` stand for, in order, each once.

    What lies below ``out``, as the results of an earlier run, is left out of folders and globs.
    """
    found: list[str | int | UserError] = []
    for given in inputs:
        found += _expand(given, out)
    paths = [os.path.abspath(path) for path in found if isinstance(path, str)]
    shared = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ''
    return [_source(path, shared) for path in dict.fromkeys(found)]


def frames_of(
    source: Source, read: Callable[[str], np.ndarray], most: int | None = None
) -> Iterator[Frame]:
    """The pictures of a source, of a video or camera at ``most`` so many."""
    if source.error:
        yield Frame(source.name, 0, _failing(source.error))
    elif source.rate:
        yield from _video(source, most)
    else:
        yield Frame(source.name, 0, lambda: read(str(source.path)))


def _expand(given: str, out: Path) -> list[str | int | UserError]:
    path = Path(given).expanduser()
    if path.is_dir():
        files = sorted(file for file in path.rglob('*') if file.is_file())
        kept = [
            str(file)
            for file in files
            if file.suffix.lower() in (*PICTURES, *VIDEOS)
            and not any(part.startswith('.') for part in file.relative_to(path).parts)
            and not _is_below(file, out)
        ]
        return list(kept) or [
            UserError(f'{given}: holds no pictures or videos ({", ".join((*PICTURES, *VIDEOS))})')
        ]
    if path.exists():
        return [str(path)]
    if given.isdecimal():
        return [int(given)]
    if glob.has_magic(given):
        matches = sorted(glob.glob(str(path), recursive=True))
        files = [m for m in matches if os.path.isfile(m) and not _is_below(Path(m), out)]
        return list(files) or [UserError(f'{given}: no file matches')]
    return [UserError(f'{given}: no such file or folder; check the path')]


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _source(path: str | int | UserError, shared: str) -> Source:
    if isinstance(path, UserError):
        return Source('', '', error=str(path))
    name = f'camera{path}' if isinstance(path, int) else os.path.relpath(path, shared)
    if isinstance(path, str) and Path(path).suffix.lower() not in VIDEOS:
        return Source(name, path)
    capture = cv2.VideoCapture(path)
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    rate = capture.get(cv2.CAP_PROP_FPS)
    opened = capture.isOpened()
    capture.release()
    if not opened:
        error = (
            f'camera {path}: cannot be opened; check its number and that no other program has it'
            if isinstance(path, int)
            else f'{path}: not a readable video ({os.path.getsize(path)} bytes); copy it again, or '
            'convert it to MP4'
        )
        return Source(name, path, error=error)
    # Some cameras and streams do not tell their rate.
    return Source(name, path, frames if frames > 0 else None, rate if rate > 0 else 25.0)


def _video(source: Source, most: int | None) -> Iterator[Frame]:
    capture = cv2.VideoCapture(source.path)
    number = 0
    try:
        while most is None or number < most:
            there, image = capture.read()
            if not there:
                break
            number += 1
            yield Frame(source.name, number, lambda image=image: image)
        else:
            return
    finally:
        capture.release()
    if not number or (source.frames and number < _CUT_OFF * source.frames):
        of = f' of {source.frames}' if source.frames else ''
        yield Frame(
            source.name,
            number + 1,
            _failing(
                f'{source.path}: ends after frame {number}{of}, damaged or cut off; those before '
                'are done'
            ),
        )


def _failing(message: str) -> Callable[[], np.ndarray]:
    def load() -> np.ndarray:
        raise BadImageError(message)

    return load
