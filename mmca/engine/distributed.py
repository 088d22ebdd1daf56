"""Several processes: when one is done or lost, and when a run goes on with another number."""

import gc
import logging
import multiprocessing
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.dist import is_distributed
from mmengine.runner import Runner

from mmca.checkpoint import CheckpointError, load_file
from mmca.errors import UserError


def leave() -> None:
    """End a process that is done and that gloo connects; any other goes on.

    gloo's threads may hold tensors. If they outlive the interpreter, they abort the process, and
    what was trained well is reported as failed: so the interpreter is not taken down.
    """
    if not is_distributed() or torch.distributed.get_backend() != 'gloo':
        return
    gc.collect()  # data loaders end their workers
    for worker in multiprocessing.active_children():
        worker.terminate()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextmanager
def connection_watched() -> Iterator[None]:
    """Within, the loss of another process is a UserError."""
    try:
        yield
    except RuntimeError as error:
        if message := connection_lost(error):
            raise UserError(message) from error
        raise


def connection_lost(error: RuntimeError) -> str | None:
    """What to say if ``error`` is that of a collective operation whose other side is gone."""
    # gloo raises plain RuntimeErrors.
    if not isinstance(error, torch.distributed.DistBackendError) and 'gloo' not in str(error):
        return None
    return (
        f'process {os.environ.get("RANK", "?")} lost another one, or it was silent for too long: '
        f'{error}\nThe reason is in the messages of the others, if they left any. To go on from '
        'the newest checkpoint, give the same command and --resume. How long to wait for a '
        'process: --cfg-options env_cfg.dist_cfg.timeout=SECONDS'
    )


def keep_total_batch(runner: Runner) -> None:
    """Note the total batch size in the checkpoints to come; a resumed run must have the same.

    With another, its iterations, epochs and learning rate, which are counted on from the
    checkpoint's, would mean something else. mmengine's own check of this never fires.

    Raises:
        CheckpointError: If the run that is resumed had another total batch size.
    """
    size = runner.cfg.train_dataloader.get('batch_size')
    if size is None:
        return
    total = runner.cfg.total_batch_size = size * runner.world_size
    if not runner._resume:
        return
    config = load_file(runner._load_from).get('meta', {}).get('cfg') or ''
    found = re.search(r'^total_batch_size = (\d+)$', config, re.MULTILINE)
    if found and int(found[1]) != total:
        former = int(found[1])
        remedy = f'Use a number of processes that divides {former}'
        if former % runner.world_size == 0:
            remedy = f'Add --cfg-options train_dataloader.batch_size={former // runner.world_size}'
        raise CheckpointError(
            f'{runner._load_from}: was trained with a total batch of {former}, and this run has '
            f'{total} ({runner.world_size} x {size}): it would not go on as it began. {remedy}, or '
            'start a new run from its weights: --cfg-options load_from=PATH --work-dir NEW'
        )
