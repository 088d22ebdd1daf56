"""Compiles the C++ kernels: ``python -m mmca.ops.build [--arch native|avx2]``.

They lie in torch's folder for extensions (``TORCH_EXTENSIONS_DIR``, by default
``~/.cache/torch_extensions``), named after all that decides whether they fit: sources, torch's
version and instruction set, so machines that share the folder never get each other's.

This file is also run as a script, by a process that does not import mmca: it needs torch only.
"""

import argparse
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch._appdirs import user_cache_dir

SOURCES = Path(__file__).parent / 'cpp'
# torch asks for no optimisation; without OpenMP its parallel loops are silently serial.
FLAGS = ['-O3', '-g0', '-fopenmp', '-fno-math-errno']
ARCHITECTURES = {'native': ['-march=native'], 'avx2': ['-mavx2', '-mfma']}
# With the tools (ninja) of an environment that was not activated.
_PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', '')])
_logger = logging.getLogger('mmca')


class BuildError(RuntimeError):
    """The kernels could not be compiled; the message, one line, says why."""


def _instruction_set() -> str:
    """What ``-march=native`` stands for on this machine."""
    cpuinfo, named = Path('/proc/cpuinfo'), ('flags', 'Features', 'model name', 'CPU part')
    if not cpuinfo.is_file():
        return f'{platform.machine()} {platform.processor()} {platform.node()}'
    lines = cpuinfo.read_text().splitlines()
    return '\n'.join(sorted({line for line in lines if line.startswith(named)}))


def library_path(arch: str) -> Path:
    """Where the library for ``arch`` (``'native'`` or ``'avx2'``) lies once it is built."""
    parts = [torch.__version__, sys.platform, platform.machine(), *FLAGS, *ARCHITECTURES[arch]]
    if arch == 'native':
        parts.append(_instruction_set())
    parts += [f'{path.name}\n{path.read_text()}' for path in sorted(SOURCES.iterdir())]
    digest = hashlib.sha256('\0'.join(parts).encode()).hexdigest()[:16]
    root = os.environ.get('TORCH_EXTENSIONS_DIR') or user_cache_dir(appname='torch_extensions')
    return Path(root) / f'mmca_{arch}_{digest}' / f'mmca_{arch}.so'


def built() -> str | None:
    """The instruction set whose library is there and runs on this machine, if any."""
    if library_path('native').is_file():
        return 'native'
    # torch looks for the same instructions before it takes its own kernels of this level.
    has_avx2 = torch.backends.cpu.get_cpu_capability() in ('AVX2', 'AVX512')
    return 'avx2' if has_avx2 and library_path('avx2').is_file() else None


def missing_tool() -> str | None:
    """The program that compiling needs and that is not installed, if any."""
    tools = os.environ.get('CXX', 'c++').split()[0], 'ninja'
    return next((tool for tool in tools if shutil.which(tool, path=_PATH) is None), None)


def build(arch: str) -> Path:
    """Compile for ``arch``, unless that is done, and return the library's path.

    Processes that build the same at once wait for each other. Raises a :class:`BuildError` if a
    tool is missing, the folder cannot be written or the compiler fails.
    """
    import fcntl

    library = library_path(arch)
    if library.is_file():
        return library
    if (tool := missing_tool()) is not None:
        raise BuildError(f'{tool} is not installed')
    os.environ['PATH'] = _PATH
    from torch.utils.cpp_extension import load

    partial = library.with_name('partial')
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        # The system drops this lock with its process; torch's own, a file, would stay in `partial`.
        with open(library.with_name('lock'), 'w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not library.is_file():
                _logger.warning(
                    'mmca compiles its kernels for this machine, once: about half a minute '
                    '(without them: MMCA_ATTENTION=plain)'
                )
                start = time.perf_counter()
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                load(
                    library.stem,
                    [str(path) for path in sorted(SOURCES.glob('*.cpp'))],
                    extra_cflags=[*FLAGS, *ARCHITECTURES[arch], f'-DMMCA_NAMESPACE=mmca_{arch}'],
                    extra_ldflags=['-fopenmp'],
                    build_directory=str(partial),
                    is_python_module=False,
                )
                os.replace(partial / library.name, library)
                shutil.rmtree(partial, ignore_errors=True)
                _logger.warning('mmca compiled them in %.0f s', time.perf_counter() - start)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        failed = [line for line in lines if 'error:' in line]
        raise BuildError((failed or lines or [type(error).__name__])[0]) from error
    return library


def main() -> None:
    parser = argparse.ArgumentParser('python -m mmca.ops.build', description='Compile the kernels.')
    about = 'native (default): for this processor; avx2: for any x86-64 with AVX2, as for an image'
    parser.add_argument('--arch', choices=sorted(ARCHITECTURES), default='native', help=about)
    try:
        print(build(parser.parse_args().arch))
    except BuildError as error:
        sys.exit(f'mmca cannot compile its kernels: {error}')


if __name__ == '__main__':
    main()
