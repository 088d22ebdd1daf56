"""Finding, downloading and unpacking archives; the user's archives are only ever read."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.client
import os
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from mmca.files import write_atomic
from mmca.progress import Progress

from .common import PrepareError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A published archive.

    Attributes:
        filename: Its name in the folder of archives.
        url: Where it is published.
        md5: Its checksum, None where the publisher's file may change.
        login: Whether the publisher wants a login, so that it cannot be downloaded for the user.
    """

    filename: str
    url: str
    md5: str | None = None
    login: bool = False


class _DownloadError(Exception):
    pass


def ensure_archives(archives: Sequence[Archive], options: Namespace) -> list[Path]:
    """Paths of the archives, downloaded if they are missing, with their checksums verified.

    Raises:
        PrepareError: An archive is damaged, or could not be downloaded.
    """
    folder = options.archives or options.data_root / 'archives'
    paths, failures = [], []
    for archive in archives:
        path = folder / archive.filename
        paths.append(path)
        try:
            if not path.exists():
                _download(archive, path)
            else:
                print(f'using {path}')
                _verify_md5(path, archive)
        except _DownloadError as error:
            failures.append((path, archive, error))
    if failures:
        lines = [f'{path} is missing and {error}' for path, _, error in failures]
        lines.append('Download by hand:')
        lines += [f'    {archive.url}\n      save as {path}' for path, archive, _ in failures]
        lines.append(f'then run: {options.command}')
        raise PrepareError('\n'.join(lines))
    return paths


def _md5(path: Path) -> str:
    digest = hashlib.md5()
    with (
        path.open('rb') as file,
        Progress(f'verifying {path.name}', path.stat().st_size, 'B') as progress,
    ):
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            progress.advance(len(chunk))
    return digest.hexdigest()


def _verify_md5(path: Path, archive: Archive) -> None:
    if archive.md5 and (found := _md5(path)) != archive.md5:
        raise PrepareError(
            f'{path} is incomplete or damaged: {path.stat().st_size} bytes with md5 {found}, not '
            f'{archive.md5}. Move it away and download it again from {archive.url}'
        )


def _download(archive: Archive, path: Path) -> None:
    """Download to ``<path>.part``, continuing one that was interrupted, and rename when whole."""
    if archive.login:
        raise _DownloadError('its publisher wants a login')
    part = path.with_name(path.name + '.part')
    path.parent.mkdir(parents=True, exist_ok=True)
    start = part.stat().st_size if part.exists() else 0
    headers = {'User-Agent': 'mmca', **({'Range': f'bytes={start}-'} if start else {})}
    request = urllib.request.Request(archive.url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            if response.status != http.client.PARTIAL_CONTENT:
                start = 0  # the server sends the whole file
            _receive(response, part, start, archive)
    except urllib.error.HTTPError as error:
        # "Range not satisfiable" means that nothing is left to send.
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _DownloadError(f'downloading it failed ({error})') from None
    except (OSError, http.client.HTTPException) as error:
        raise _DownloadError(f'downloading it failed ({error})') from None
    if archive.md5 and _md5(part) != archive.md5:
        part.unlink()
        raise _DownloadError('its download came out damaged and was discarded')
    os.replace(part, path)


def _receive(response, part: Path, start: int, archive: Archive) -> None:
    length = response.headers.get('Content-Length')
    total = start + int(length) if length else None
    with (
        part.open('ab' if start else 'wb') as file,
        Progress(f'downloading {archive.filename}', total, 'B') as progress,
    ):
        progress.advance(start)
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            progress.advance(len(chunk))
    if total is not None and part.stat().st_size != total:
        raise OSError(f'the connection broke at {part.stat().st_size} of {total} bytes')


@dataclass(frozen=True)
class Member:
    """A regular file in an archive; ``position`` is its byte offset there."""

    archive: Path
    name: str
    size: int
    position: int
    open: Callable[[], IO[bytes]]

    def read(self) -> bytes:
        """Its content.

        Raises:
            PrepareError: The archive is damaged.
        """
        with _naming_damage(self.archive), self.open() as file:
            content = file.read()
            if len(content) != self.size:
                raise EOFError(f'{self.name} is cut off')
            return content


@contextlib.contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise PrepareError(
            f'{path} is incomplete or damaged ({error}). Move it away and download it again.'
        ) from None


def members(path: Path) -> Iterator[Member]:
    """Files of a tar or zip archive in the order in which they are stored.

    Raises:
        PrepareError: The archive is damaged.
    """
    size = path.stat().st_size
    with (
        _naming_damage(path),
        path.open('rb') as raw,
        Progress(f'unpacking {path.name}', size, 'B') as progress,
    ):
        for member in (_zip_members if path.suffix == '.zip' else _tar_members)(path, raw):
            progress.advance(max(0, member.position - progress.done))
            yield member
        progress.advance(size - progress.done)


def _tar_members(path: Path, raw: IO[bytes]) -> Iterator[Member]:
    with tarfile.open(fileobj=raw) as archive:
        for info in archive:
            if info.isfile():
                # The position in `raw` counts compressed bytes, as the archive's size does.
                content = functools.partial(archive.extractfile, info)
                yield Member(path, info.name, info.size, raw.tell(), content)


def _zip_members(path: Path, raw: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(raw) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                content = functools.partial(archive.open, info)
                yield Member(path, info.filename, info.file_size, info.header_offset, content)


def extract(path: Path, root: Path, target: Callable[[PurePosixPath], str | None]) -> None:
    """Unpack an archive, continuing where an earlier call was interrupted.

    Args:
        path: The archive.
        root: Folder to unpack to.
        target: Gives a member's place below ``root``, or None to leave it out.

    Raises:
        PrepareError: The archive is damaged or unsafe, or a file is in the way.
    """
    for member in members(path):
        name = target(PurePosixPath(member.name))
        if name is None:
            continue
        if PurePosixPath(name).is_absolute() or '..' in PurePosixPath(name).parts:
            raise PrepareError(f'{path} is unsafe: it holds {member.name!r}')
        file = root / name
        if not file.exists():
            write_atomic(file, member.read())
        # Files are written whole, so one of another size is not ours.
        elif file.stat().st_size != member.size:
            raise PrepareError(
                f'{file} has {file.stat().st_size} bytes, {member.size} in {path}. If you did not '
                'change it on purpose, remove it and run again.'
            )
