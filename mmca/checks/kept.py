"""What was found out about files, kept below ``~/.cache/mmca`` until the files change."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from mmca.files import write_atomic

_WORTH_KEEPING = 2.0  # seconds of work


class Kept:
    """A dict in a JSON file of the user's cache folder (``XDG_CACHE_HOME``).

    Args:
        kind: What is kept, the name of a folder.
        place: The file or folder that it is about.
        options: What else it depends on, as text.
    """

    def __init__(self, kind: str, place: str | Path, options: str = '') -> None:
        root = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
        about = f'{os.path.abspath(place)}\n{options}' if options else os.path.abspath(place)
        name = hashlib.sha256(about.encode(errors='surrogateescape')).hexdigest()
        self._begin = time.monotonic()
        self._path = Path(root) / 'mmca' / kind / f'{name[:32]}.json'

    def load(self) -> dict:
        """What is kept; empty if nothing is, or if the file is damaged."""
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def save(self, content: dict) -> None:
        """Keep it, if finding it out took seconds and the folder can be written."""
        if time.monotonic() - self._begin < _WORTH_KEEPING:
            return
        with suppress(OSError):  # only slower the next time
            write_atomic(self._path, json.dumps(content).encode())


def stamp(path: str | Path) -> list[int] | None:
    """Modification time and length of a file; None if there is no such file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return None
    return [status.st_mtime_ns, status.st_size] if stat.S_ISREG(status.st_mode) else None


def folder_stamp(folder: str | Path) -> str:
    """A digest of the names, modification times and lengths of the files in a folder."""
    digest = hashlib.sha256()
    with suppress(OSError), os.scandir(folder) as entries:
        for name, found in sorted((entry.name, stamp(entry.path)) for entry in entries):
            digest.update(f'{name}\n{found}\n'.encode(errors='surrogateescape'))
    return digest.hexdigest()
