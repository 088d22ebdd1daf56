"""ncnn, converted by pnnx. A file takes one image at a time and comes without NMS."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmca.errors import UserError
from mmca.export.metadata import ExportMetadata, path_beside, read_beside
from mmca.export.targets import require
from mmca.files import write_atomic

if TYPE_CHECKING:
    from mmca.export.network import ExportNetwork

LAYOUT, LAST_STEP = 'NCHW', False
SINGLE_IMAGES = True
RANKS = {'scores': 2, 'logits': 4, 'boxes': 3, 'class_scores': 3}
OTHER_SIZE = 64  # pixels more, by which pnnx sees that sizes are free


def write(network: ExportNetwork, metadata: ExportMetadata, path: Path) -> list[Path]:
    """Write ``.ncnn.param`` and, beside it, ``.ncnn.bin`` and the metadata."""
    import torch

    if metadata.dynamic and metadata.task == 'detection':
        raise UserError(
            '--dynamic: pnnx writes the boxes of a detector of free sizes with an operator that '
            'ncnn does not have; give --size H W'
        )
    pnnx = require('pnnx', 'ncnn')
    height, width = metadata.size
    stem = path.name.removesuffix('.ncnn.param')
    with tempfile.TemporaryDirectory() as folder:
        traced = Path(folder) / 'network.pt'
        example = network.example(metadata.size, 1)
        torch.jit.trace(network, example, check_trace=False).save(str(traced))
        shapes = [f'inputshape=[1,3,{height},{width}]f32']
        if metadata.dynamic:
            shapes.append(f'inputshape2=[1,3,{height + OTHER_SIZE},{width + OTHER_SIZE}]f32')
        command = [pnnx.EXEC_PATH, str(traced), *shapes, 'fp16=0']
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        made = [Path(folder) / f'network.ncnn.{kind}' for kind in ('param', 'bin')]
        if done.returncode or not all(file.is_file() for file in made):
            raise UserError(f'pnnx cannot convert the network: {_last(done.stderr, done.stdout)}')
        files = [path, path.with_name(f'{stem}.ncnn.bin')]
        for source, file in zip(made, files):
            shutil.move(source, file)
    write_atomic(path_beside(path), metadata.to_json().encode())
    return [*files, path_beside(path)]


def _last(*outputs: str) -> str:
    return next((text.strip().splitlines()[-1] for text in outputs if text.strip()), 'no message')


metadata_of = read_beside


def open_file(
    path: Path, metadata: ExportMetadata, threads: int | None
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function from the input, one image, to the outputs."""
    ncnn = require('ncnn', 'ncnn')
    names = metadata.output_names
    net = ncnn.Net()
    # Its defaults on processors with half precision; the numbers would not be PyTorch's.
    for name in ('fp16_packed', 'fp16_storage', 'fp16_arithmetic', 'bf16_storage'):
        setattr(net.opt, f'use_{name}', False)
    net.opt.num_threads = threads or os.cpu_count() or 1
    weights = path.with_name(f'{path.name.removesuffix(".param")}.bin')
    if net.load_param(str(path)) or net.load_model(str(weights)):
        raise UserError(f'{path}: ncnn cannot read it and {weights.name}')

    def run(images: np.ndarray) -> list[np.ndarray]:
        with net.create_extractor() as extractor:
            extractor.input('in0', ncnn.Mat(images[0]).clone())
            found = []
            for i in range(len(names)):
                code, value = extractor.extract(f'out{i}')
                if code:
                    raise UserError(f'{path}: ncnn ended with code {code}')
                value = np.array(value)
                # Where ncnn cannot tell that the first axis is the batch, it is still there.
                found.append(value if value.ndim == RANKS[names[i]] else value[None])
            return found

    return run
