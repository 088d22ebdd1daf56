"""What ``tools/export.py`` does: write a file, prove it, and only then let it appear."""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from mmca.complexity.config import input_size
from mmca.engine.config import read_config
from mmca.engine.libraries import prepare_libraries
from mmca.errors import UserError
from mmca.export import forms
from mmca.export.images import paths_in, paths_of_test_set, read_images
from mmca.export.metadata import ExportMetadata
from mmca.export.model import LoadedModel, load_model
from mmca.export.network import ExportNetwork
from mmca.export.proof import FLOAT, INT8, prove
from mmca.export.resizing import prepare
from mmca.export.runtime import load_exported
from mmca.export.targets import TARGETS, target_module

PROOF_IMAGES, CALIBRATION_IMAGES = 8, 128


def export(args: argparse.Namespace) -> None:
    """Write the file that the arguments of ``tools/export.py`` ask for, and prove it.

    Raises:
        UserError: For whatever the user can mend, and if the file does not compute what PyTorch
            computes; it is then not there.
    """
    out, suffix = Path(args.out), TARGETS[args.to]
    if not out.name.endswith(suffix):
        raise UserError(f'--out {out}: files for {args.to} end in {suffix}')
    if out.is_dir():
        raise UserError(f'--out {out}: is a folder already; delete it or give another name')
    target = target_module(args.to)
    if args.int8 and not hasattr(target, 'quantise'):
        able = [name for name in TARGETS if hasattr(target_module(name), 'quantise')]
        raise UserError(f'--int8: files for {", ".join(able)} are quantised, not for {args.to}')
    if args.custom_operator and (args.to != 'onnx' or args.int8):
        raise UserError('--custom-operator: files for onnx have the operator, without --int8')
    prepare_libraries()
    loaded = load_model(read_config(args), args.checkpoint)
    paths = paths_in(args.images, PROOF_IMAGES) if args.images else None
    images = read_images(paths or paths_of_test_set(loaded.cfg, PROOF_IMAGES))
    network, metadata = _prepared(args, loaded, target)
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, and with its name, which some formats write into their files.
    with tempfile.TemporaryDirectory(prefix=f'.{out.name}.', dir=out.parent) as folder:
        path = Path(folder) / out.name
        files = target.write(network, metadata, path)
        print(f'{args.to}, {_size(files)}')
        if getattr(target, 'RUNS_HERE', True):
            _check(loaded, path, images, args.threads)
        else:
            print(f'  not compared with PyTorch: {args.to} does not run on this machine')
        if args.int8:
            files = _quantise(args, loaded, target, path, images)
        for file in files:
            file.replace(out.parent / file.name)
    print(f'wrote {", ".join(str(out.parent / file.name) for file in files)}')


def _prepared(
    args: argparse.Namespace, loaded: LoadedModel, target
) -> tuple[ExportNetwork, ExportMetadata]:
    if args.batch > 1 and getattr(target, 'SINGLE_IMAGES', False):
        raise UserError(f'--batch {args.batch}: a file for {args.to} takes one image at a time')
    preprocessing = not args.no_preprocessing
    layout = target.LAYOUT if preprocessing else 'NCHW'
    fixed = not args.dynamic
    form = forms.OPERATOR if args.custom_operator else forms.form_for(args.to, fixed)
    network = ExportNetwork(loaded, form, layout, preprocessing, fixed, target.LAST_STEP)
    metadata = loaded.metadata(
        target=args.to,
        input_name='images',
        input_layout=layout,
        output_names=network.output_names,
        size=tuple(args.size or input_size(loaded.cfg)),
        dynamic=args.dynamic,
        batch=args.batch,
        preprocessing=preprocessing,
        nms=getattr(network.network, 'settings', {}),
    )
    return network, metadata


def _check(loaded: LoadedModel, path: Path, images: list, threads: int | None) -> None:
    exported = load_exported(path, threads)
    tolerance = (INT8 if exported.metadata.int8 else FLOAT)[loaded.task]
    failed = []
    for found in prove(loaded, exported, images):
        print(f'  {found}', flush=True)
        if not found.within(tolerance):
            failed.append(found.case)
    if failed:
        raise UserError(
            f'{path.name} does not compute what PyTorch computes ({"; ".join(failed)}; allowed are '
            f'{tolerance.difference:.0e} and {100 * tolerance.changed:g} % changed): it was deleted'
        )


def _quantise(args: argparse.Namespace, loaded: LoadedModel, target, path: Path, images: list):
    exported = load_exported(path, args.threads)
    known = exported.metadata
    pictures = read_images(paths_in(args.int8, CALIBRATION_IMAGES))
    batches = [np.stack([prepare(picture, known)] * known.batch) for picture in pictures]
    files = target.quantise(path, known, [exported.inputs(batch) for batch in batches])
    print(f'{args.to}, int8, {_size(files)}')
    _check(loaded, path, images, args.threads)
    return files


def _size(files: list[Path]) -> str:
    # A package is a folder.
    parts = [part for file in files for part in (file, *file.rglob('*')) if part.is_file()]
    return f'{sum(part.stat().st_size for part in parts) / 1e6:.2f} MB'
