"""Reading a checkpoint file, of which no code is run."""

import hashlib
import os
import re
import zipfile
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import torch

from mmca.errors import UserError
from mmca.files import stand_in

from .unpickling import load_allowed

_GZIP = b'\x1f\x8b'


class CheckpointError(UserError):
    """A checkpoint that cannot be read, or that does not fit the model."""


def load_file(path: str | Path, map_location: str = 'cpu') -> dict:
    """Load a checkpoint without running code from it.

    Args:
        path (str | Path): A file written by ``torch.save``, or one of safetensors if it ends in
            ``.safetensors``; or an http(s) address of one, which is downloaded once to
            torch.hub's folder. ``~`` is the home folder.
        map_location (str): Device for its tensors.

    Raises:
        CheckpointError: If the file is missing, damaged, or holds other than tensors, plain
            values and mmengine's loss histories; or if the package safetensors is missing.
    """
    path = _local(path)
    if not os.path.isfile(path):
        reason = 'is a folder; name a file in it' if os.path.isdir(path) else 'no such checkpoint'
        raise CheckpointError(f'{path}: {reason}; check the path')
    load = load_allowed
    if path.suffix == '.safetensors':
        load = safetensors_for(path).load_file
    try:
        checkpoint = load(path, map_location)
    # A damaged pickle fails in any way.
    except Exception as error:
        if refused := re.search(r'GLOBAL (\S+)', str(error)):
            raise CheckpointError(
                f'{path}: refused, it holds more than weights ({refused[1]}). Convert it where it '
                'was made: keep the state_dict alone'
            ) from error
        with open(path, 'rb') as file:
            beginning = file.read(64)
        other = stand_in(beginning)
        names = _archived(path)
        if any('/code/' in name for name in names):
            other = (
                'it is a program of TorchScript, save the state_dict of the network in its place'
            )
        # torch.save's are archives, too, whole or not.
        elif beginning.startswith(_GZIP) or names and not any('data.pkl' in n for n in names):
            other = 'it is an archive, unpack it and give a file in it'
        elif not beginning:
            other = 'it is empty (0 bytes), copy or download it again'
        if other:
            raise CheckpointError(f'{path}: not a readable checkpoint: {other}') from error
        reason = str(error).rpartition('WeightsUnpickler error: ')[2].strip().split('\n')[0]
        raise CheckpointError(
            f'{path}: not a readable checkpoint ({path.stat().st_size} bytes; {reason[:200]}). It '
            'may be truncated: copy or download it again'
        ) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f'{path}: holds a {type(checkpoint).__name__}, not a dict of weights; save a state_dict'
        )
    return checkpoint


def _archived(path: Path) -> list[str]:
    """Names in a zip archive; none if the file is no such archive."""
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def safetensors_for(path: str | Path) -> ModuleType:
    """The module ``safetensors.torch``, needed for the file ``path``.

    Raises:
        CheckpointError: If it is not installed.
    """
    try:
        import safetensors.torch
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f'{path}: this format needs a package: pip install safetensors'
        ) from error
    return safetensors.torch


def _local(path: str | Path) -> Path:
    scheme, separator, _ = str(path).partition('://')
    if not separator:
        return Path(path).expanduser()
    if scheme in ('http', 'https'):
        return _download(str(path))
    raise CheckpointError(
        f'{path}: {scheme}:// is not read; give a file or an http(s) address of one'
    )


def _download(url: str) -> Path:
    # Two addresses may end in the same name.
    name = f'{hashlib.sha256(url.encode()).hexdigest()[:8]}-{Path(urlsplit(url).path).name}'
    path = Path(torch.hub.get_dir()) / 'checkpoints' / name
    if not os.path.isfile(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path))
        except OSError as error:
            raise CheckpointError(
                f'{url}: cannot be downloaded ({error}); download it by hand and give the file'
            ) from error
    return path
