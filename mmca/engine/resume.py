import re
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from mmca.checkpoint import CheckpointError, load_file
from mmca.errors import UserError


def choose_start(cfg: Config, resume: str | None) -> None:
    """Set where a training starts.

    Args:
        cfg (Config): Its config.
        resume (str | None): A checkpoint to go on from, ``'auto'`` for the newest in the work dir.

    Raises:
        UserError: If there is nothing to go on from, or if another run would be overwritten.
    """
    if resume == 'auto':
        cfg.load_from = find_resumable(cfg.work_dir)
    else:
        refuse_to_overwrite(cfg.work_dir, resumed=resume)
        if resume:
            cfg.load_from = require_resumable(resume)
    cfg.resume = bool(resume)


def training_checkpoints(work_dir: str | Path) -> list[Path]:
    """Checkpoints of a run, newest first, by the iteration or epoch in their names."""
    found = [(int(m[1]), p) for p in Path(work_dir).glob('*.pth') if (m := _NAME.fullmatch(p.name))]
    return [path for _, path in sorted(found, reverse=True)]


_NAME = re.compile(r'(?:iter|epoch)_(\d+)\.pth')


def require_resumable(path: str | Path) -> str:
    """The path itself, if it is a checkpoint that can be trained on from.

    Raises:
        CheckpointError: If it is not.
    """
    checkpoint = load_file(path)
    # mmengine would go on with a new optimizer, without a word.
    if 'optimizer' not in checkpoint:
        raise CheckpointError(
            f'{path}: holds no optimizer state, training cannot go on from it; give an iter_*.pth '
            'or epoch_*.pth, or start from its weights with --cfg-options load_from=PATH'
        )
    meta = checkpoint.get('meta')
    if not isinstance(meta, Mapping) or not {'iter', 'epoch'} <= meta.keys():
        raise CheckpointError(
            f'{path}: does not say how far its training was (meta, with iter and epoch); training '
            'goes on from checkpoints of tools/train.py alone. Start from its weights with '
            '--cfg-options load_from=PATH'
        )
    return str(path)


def find_resumable(work_dir: str | Path) -> str:
    """Newest checkpoint in ``work_dir`` that is whole and can be trained on from.

    mmengine follows the file ``last_checkpoint`` alone and starts over when it is missing;
    it may be missing, empty or behind after a crash, so it is not consulted.

    Raises:
        CheckpointError: If there is none.
    """
    tried = []
    for path in training_checkpoints(work_dir):
        try:
            found = require_resumable(path)
        except CheckpointError as error:
            tried.append(str(error))
            continue
        if tried:
            print_log(f'Passed over {"; ".join(tried)}', logger='current')
        return found
    detail = ' Tried:\n  ' + '\n  '.join(tried) if tried else ''
    raise CheckpointError(
        f'Nothing to resume in {work_dir}: no usable iter_*.pth or epoch_*.pth. '
        f'Check --work-dir, or train without --resume to start anew.{detail}'
    )


def refuse_to_overwrite(work_dir: str | Path, resumed: str | Path | None = None) -> None:
    """Raise a UserError if ``work_dir`` holds checkpoints of a run other than the resumed one's."""
    earlier = training_checkpoints(work_dir)
    if resumed and Path(resumed).resolve().parent == Path(work_dir).resolve():
        return
    if earlier:
        raise UserError(
            f'{work_dir} holds a trained run ({earlier[0].name}) that would be overwritten. '
            'Go on with it: --resume; or keep it and give another --work-dir.'
        )
