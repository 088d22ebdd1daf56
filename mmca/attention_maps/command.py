"""What ``tools/visualize_attention.py`` does."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmca.engine.libraries import prepare_libraries
from mmca.errors import UserError
from mmca.files import write_atomic
from mmca.predict import Classification, Predictor, Segmentation
from mmca.predict.several import open_networks
from mmca.predict.sources import find_sources
from mmca.predict.writing import stems_of
from mmca.progress import Progress

from .figure import draw_attention
from .maps import AttentionMaps, attention_maps, layer_of, require_grad_cam


def visualize(args: argparse.Namespace) -> None:
    """Draw the attentions of the networks for all pictures.

    Raises:
        UserError: If a network or layer cannot be had, or at the end, if some pictures could not be
            read.
    """
    require_grad_cam()
    prepare_libraries()
    networks = open_networks(args.networks, args.device)
    if len({predictor.classes for predictor in networks.values()}) > 1:
        raise UserError('these networks have different classes; give those of one dataset')
    layers = {name: layer_of(predictor, args.layer) for name, predictor in networks.items()}
    first = next(iter(networks.values()))
    chosen = None if args.class_name is None else _number_of(args.class_name, first)
    out = Path(args.out)
    sources = find_sources(args.images, out)
    stems, written, failed = stems_of(sources), [], 0
    with Progress('Draw', len(sources)) as progress:
        for source in sources:
            try:
                if source.error or source.rate:
                    raise UserError(source.error or f'{source.path}: is a video; give pictures')
                image = first.read(source.path)
                number = _class_of(first, image) if chosen is None else chosen
                maps = {
                    name: attention_maps(predictor, image, layers[name], number)
                    for name, predictor in networks.items()
                }
            except UserError as error:
                failed += 1
                print(f'Error: {error}', file=sys.stderr, flush=True)
                continue
            written.append(_write(out / f'{stems[source.name]}.png', maps, first.classes[number]))
            progress.advance()
    for path in written:
        print(path)
    if failed:
        raise UserError(f'{failed} of {len(sources)} could not be drawn, see above')


def _number_of(name: str, predictor: Predictor) -> int:
    if name not in predictor.classes:
        raise UserError(f'--class {name}: no such class; there are {", ".join(predictor.classes)}')
    return predictor.classes.index(name)


def _class_of(predictor: Predictor, image: np.ndarray) -> int:
    """What the network says of an image: the best class, most pixels, or the best box."""
    found = predictor(image)
    if isinstance(found, Classification):
        return found.best(1)[0]
    if isinstance(found, Segmentation):
        return int(found.shares(len(predictor.classes)).argmax())
    return int(found.labels[0]) if len(found.labels) else 0


def _write(path: Path, maps: Mapping[str, AttentionMaps], class_name: str) -> Path:
    try:
        write_atomic(path, draw_attention(maps, class_name))
    except OSError as error:
        raise UserError(
            f'{path}: cannot be written ({error.strerror}); give another --out'
        ) from error
    return path
