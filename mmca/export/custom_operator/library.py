"""Compiles the operator: needs a C++ compiler, neither PyTorch nor headers of ONNX Runtime."""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from mmca.errors import UserError

SOURCE = Path(__file__).parent / 'coordinate_attention.cpp'
# As -ffast-math, but numbers that are no numbers stay such.
_SUMS = ('-fno-math-errno', '-fno-trapping-math', '-fassociative-math', '-fno-signed-zeros')
_FLAGS = ('-std=c++17', '-O3', '-march=native', *_SUMS, '-fPIC', '-shared')


def library_path() -> Path:
    """Where the library for this processor lies once it is built."""
    parts = [SOURCE.read_text(), *_FLAGS, platform.machine(), platform.node(), _instructions()]
    digest = hashlib.sha256('\0'.join(parts).encode()).hexdigest()[:16]
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return cache / 'mmca' / f'coordinate_attention_{digest}.so'


def _instructions() -> str:
    """What the processor can do, where Linux says it: a home may be shared by several."""
    cpuinfo = Path('/proc/cpuinfo')
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    return next((line for line in lines if line.startswith(('flags', 'Features'))), '')


def build() -> Path:
    """Compile the operator for this processor, unless that is done, and return the library.

    Raises:
        UserError: If there is no compiler, or it fails.
    """
    library = library_path()
    if library.is_file():
        return library
    compiler = os.environ.get('CXX', 'c++').split()
    if shutil.which(compiler[0]) is None:
        raise UserError(
            f'{compiler[0]} is not installed, which compiles the operator of this file: install a '
            'C++ compiler (g++), or export the network without --custom-operator'
        )
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made = Path(folder) / library.name
        command = [*compiler, *_FLAGS, '-o', str(made), str(SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if 'error' in line]
            reason = (lines or [done.stderr.strip()])[0]
            raise UserError(
                f'{compiler[0]} cannot compile {SOURCE.name} ({reason}): export the network '
                'without --custom-operator'
            )
        os.replace(made, library)
    return library
