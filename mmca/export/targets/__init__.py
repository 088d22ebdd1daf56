"""The formats that can be written, a module each.

A module of a target has

- ``LAYOUT`` and ``LAST_STEP``: options of :class:`mmca.export.network.ExportNetwork`;
- ``write(network, metadata, path)``: export; raises a UserError for what the format cannot hold;
- ``metadata_of(path)``: what a file says of itself;
- ``open_file(path, metadata, threads)``: a function from the file's input to its outputs, in order;
- where it does not run on every machine, ``RUNS_HERE``;
- where it quantises, ``quantise(path, metadata, inputs)``: to 8 bits, calibrated on these inputs.

What a module needs beside PyTorch it imports by :func:`require`, when it is used.
"""

import importlib
from pathlib import Path
from types import ModuleType

from mmca.errors import UserError

# How their files end.
TARGETS = {
    'onnx': '.onnx',
    'openvino': '.xml',
    'ncnn': '.ncnn.param',
    'executorch': '.pte',
    'litert': '.tflite',
    'coreml': '.mlpackage',
}


def target_module(name: str) -> ModuleType:
    """The module of a target."""
    return importlib.import_module(f'mmca.export.targets.{name}')


def require(module: str, target: str) -> ModuleType:
    """Import what a target needs.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f'{target} needs {error.name}, which is not installed: pip install "mmca[{target}]"'
        ) from error


def is_exported(path: str | Path) -> bool:
    """Whether a file's name ends as those of a target."""
    return str(path).endswith(tuple(TARGETS.values()))


def target_of(path: str | Path) -> str:
    """The target whose files end as this one.

    Raises:
        UserError: If there is none.
    """
    for name, suffix in TARGETS.items():
        if str(path).endswith(suffix):
            return name
    raise UserError(f'{path}: exported files end in {", ".join(TARGETS.values())}')
