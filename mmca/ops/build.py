"""Compiles the C++ kernels: ``python -m mmca.ops.build [--arch native|avx2]``.

Libraries lie in torch's folder for extensions (environment variable ``TORCH_EXTENSIONS_DIR``,
default ``~/.cache/torch_extensions``), each named after all that decides whether it fits: the
sources, torch's version and the instruction set; for ``native`` that is the machine's own, so a
folder that machines share never gives one of them the other's instructions.

This file is also run as a script, by a process that does not import mmca: it needs torch only.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from torch._appdirs import user_cache_dir

SOURCES = Path(__file__).parent / 'cpp'
# torch itself asks for no optimisation; without OpenMP its parallel loops are silently serial.
FLAGS = ['-O3', '-fopenmp', '-fno-math-errno']
ARCHITECTURES = {'native': ['-march=native'], 'avx2': ['-mavx2', '-mfma']}
TIMEOUT = 60  # seconds that a build at first use may take


class BuildError(RuntimeError):
    """The kernels could not be compiled; the message, one line, says why."""


def _instruction_set() -> str:
    """What ``-march=native`` stands for on this machine."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return f'{platform.machine()} {platform.processor()} {platform.node()}'
    named = ('flags', 'Features', 'model name', 'CPU part')
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


def _environment() -> dict:
    """This process's, with the tools (ninja) of an environment that was not activated."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', '')])
    return {**os.environ, 'PATH': path}


def missing_tool() -> str | None:
    """The program that compiling needs and that is not installed, if any."""
    for tool in (os.environ.get('CXX', 'c++').split()[0], 'ninja'):
        if shutil.which(tool, path=_environment()['PATH']) is None:
            return tool
    return None


def build(arch: str) -> Path:
    """Compile for ``arch`` unless that is done, and return the library's path.

    Processes that build the same at once wait for each other.

    Raises:
        BuildError: If a tool is missing, the folder cannot be written or the compiler fails.
    """
    import fcntl

    library = library_path(arch)
    if library.is_file():
        return library
    if (tool := missing_tool()) is not None:
        raise BuildError(f'{tool} is not installed')
    os.environ.update(_environment())
    from torch.utils.cpp_extension import load

    partial = library.with_name('partial')
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        # The system drops this lock with the process that holds it; torch's own, a file, would
        # stay behind in `partial` and keep everyone waiting: so that starts afresh.
        with open(library.with_name('lock'), 'w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not library.is_file():
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
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        failed = [line for line in lines if 'error:' in line]
        raise BuildError((failed or lines or [type(error).__name__])[0]) from error
    return library


def build_in_time(arch: str, timeout: float = TIMEOUT) -> Path:
    """:func:`build` in a process of its own, which is killed after ``timeout`` seconds.

    Raises:
        BuildError: As :func:`build`, or if the time is over.
    """
    library = library_path(arch)
    if (tool := missing_tool()) is not None:
        raise BuildError(f'{tool} is not installed')
    process = subprocess.Popen(
        [sys.executable, __file__, '--arch', arch],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors='replace',
        start_new_session=True,  # the compilers, too, are to end with it
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise BuildError(f'it takes longer than {timeout:g} s') from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()
    if process.returncode != 0 or not library.is_file():
        lines = output.strip().splitlines() or [f'exit status {process.returncode}']
        raise BuildError(lines[-1])
    return library


def main() -> None:
    parser = argparse.ArgumentParser(
        prog='python -m mmca.ops.build',
        description='Compile the fast CPU kernels, so that no first use has to.',
    )
    parser.add_argument(
        '--arch',
        choices=sorted(ARCHITECTURES),
        default='native',
        help="native: for this machine's processor; avx2: for any x86-64 processor with AVX2, as "
        'for a container image (default: %(default)s)',
    )
    try:
        print(build(parser.parse_args().arch))
    except BuildError as error:
        sys.exit(f'mmca cannot compile its kernels: {error}')


if __name__ == '__main__':
    main()
