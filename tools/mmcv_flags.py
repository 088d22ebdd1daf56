"""Print the `CFLAGS` with which mmcv compiles in a third of the time; makes what they refer to.

Python's own flags ask for debug information, which takes a third of the time, and nearly all of the
rest is spent on parsing torch's headers for each of the 78 files: so they are parsed once. The code
stays as optimised as it was. Without the precompiled header, should a compiler not take it, the
flags only include a header that each of these files includes first anyway.

    .venv/bin/python tools/mmcv_flags.py FOLDER
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import torch
from torch.utils.cpp_extension import include_paths


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    header = folder / 'torch_types.h'
    header.write_text('#include <torch/types.h>\n')
    # The variable stands for Python's own flags, so these are in it, too.
    own = shlex.split(os.environ.get('CFLAGS') or sysconfig.get_config_var('CFLAGS') or '')
    # A compiler takes the file only with the flags that it was made with: those of setuptools and
    # of torch's BuildExtension.
    flags = [*own, '-g0', '-fPIC', '-std=c++17']
    if not torch._C._GLIBCXX_USE_CXX11_ABI:
        flags += ['-D_GLIBCXX_USE_CXX11_ABI=0']
    flags += [f'-I{path}' for path in (*include_paths(), sysconfig.get_path('include'))]
    compiler = shlex.split(os.environ.get('CXX', 'c++'))
    source = ['-x', 'c++-header', str(header), '-o', f'{header}.gch']
    subprocess.run([*compiler, *flags, *source], stdout=sys.stderr, check=False)
    print(shlex.join([*own, '-g0', '-Winvalid-pch', '-include', str(header)]))


if __name__ == '__main__':
    main(Path(sys.argv[1]))
