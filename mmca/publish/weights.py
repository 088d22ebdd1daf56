"""From a checkpoint and its run's record to a file of weights, its card and its index entry."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config
from torch import Tensor

from mmca.checkpoint import load_file, safetensors_for
from mmca.errors import UserError
from mmca.files import write_atomic
from mmca.models.trained import build_trained
from mmca.reproduce import records
from mmca.reproduce.settings import config_path
from mmca.tables import find_row

from .card import card
from .index import Published, read_index, write_index


class Files(NamedTuple):
    """What :func:`publish` wrote."""

    weights: Path
    card: Path
    entry: Published


def halved(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of two and more dimensions in float16; norms and biases, which are small, stay."""
    return {
        key: tensor.half() if tensor.is_floating_point() and tensor.dim() > 1 else tensor
        for key, tensor in weights.items()
    }


def publish(record_file: Path, checkpoint: Path, out: Path, index: Path) -> Files:
    """Write ``CONFIG-HASH.safetensors`` and ``CONFIG-HASH.md``, and enter them into the index.

    HASH is the first 8 digits of the file's SHA-256, so another file never takes its name.

    Args:
        record_file (Path): What ``tools/reproduce.py`` wrote of the run.
        checkpoint (Path): That of the run, on which its metric was measured.
        out (Path): Folder for both files.
        index (Path): JSON file of all published networks, see :mod:`mmca.publish.index`.

    Raises:
        UserError: If the record is missing, is of another checkpoint or of another state of its
            config, or if weights do not fit float16.
    """
    record = records.read_record(record_file)
    if record is None:
        raise UserError(f'{record_file}: no such record; tools/reproduce.py writes it after a test')
    row = find_row(record['config'])
    if row is None:
        raise UserError(f'{record_file}: its config, {record["config"]}, stands in no table')
    _check_config(record, record_file)
    loaded = load_file(checkpoint)  # which also says if it is missing
    if (found := records.file_hash(checkpoint)) != record['checkpoint_sha256']:
        raise UserError(
            f'{checkpoint}: is not the checkpoint of {record_file} (SHA-256 {found[:8]}..., not '
            f'{record["checkpoint_sha256"][:8]}...); its metric was measured on '
            f'{record["checkpoint"]} of that run'
        )
    cfg = Config.fromfile(config_path(record['config']))
    remedy = 'Give the checkpoint of this config.'
    model = build_trained(cfg, cfg.get('default_scope'), loaded, str(checkpoint), remedy)
    weights = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    weights = halved(weights)
    if infinite := [key for key, tensor in weights.items() if not _is_finite(tensor)]:
        raise UserError(f'{checkpoint}: {infinite[0]} is not finite in float16')

    meta = {'format': 'pt', 'config': record['config'], 'config_sha256': record['config_sha256']}
    content = safetensors_for('weights.safetensors').save(weights, metadata=meta)
    sha256 = hashlib.sha256(content).hexdigest()
    name = f'{record["config"]}-{sha256[:8]}'
    entry = Published(f'{name}.safetensors', sha256, len(content), record['seed'], record['value'])
    target, text = out / entry.file, out / f'{name}.md'
    write_atomic(target, content, durable=True)
    source = os.path.relpath(record_file)
    write_atomic(text, card(row, record, source, entry).encode())
    published = read_index(index)
    published.networks[record['config']] = entry
    write_index(index, published)
    return Files(target, text, entry)


def _check_config(record: dict, record_file: Path) -> None:
    if record['config_sha256'] != records.config_hash(record['config']):
        raise UserError(
            f'{record_file}: configs/{record["config"]}.py has changed since that run; check out '
            f'commit {record["source"].get("commit") or "of the run"}, or train again'
        )


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
