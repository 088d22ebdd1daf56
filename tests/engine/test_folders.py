"""Folders that a run writes to can be written to, or are named before it begins."""

import errno

import pytest
from mmengine.config import Config

from helpers.tools import run_tool
from mmca.engine import atomic_backend
from mmca.engine.options import check_folders
from mmca.errors import UserError


@pytest.mark.input_fault(
    'Data folder',
    '`--work-dir`, `--show-dir` or the folder of checkpoints that is a file, or cannot be written',
    'refused before the run',
)
def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').touch()
    cfg = Config(dict(work_dir=str(tmp_path / 'new/work'), default_hooks=dict(checkpoint={})))
    check_folders(cfg, show_dir=None)
    assert (tmp_path / 'new/work').is_dir()
    with pytest.raises(UserError, match='--show-dir .*/file: cannot be written to .a file of that'):
        check_folders(cfg, show_dir=str(tmp_path / 'file'))
    cfg.default_hooks.checkpoint.out_dir = str(tmp_path / 'file/checkpoints')
    with pytest.raises(UserError, match='default_hooks.checkpoint.out_dir .*: cannot be written'):
        check_folders(cfg)
    cfg.default_hooks.checkpoint.out_dir = 's3://bucket/checkpoints'
    check_folders(cfg)
    cfg.work_dir = '/proc/nowhere/work'
    with pytest.raises(UserError, match='--work-dir /proc/nowhere/work: cannot be written'):
        check_folders(cfg)


def test_a_run_asks(tiny_config, tmp_path):
    (tmp_path / 'work').touch()
    outcome = run_tool('train', tiny_config, '--work-dir', tmp_path / 'work')
    assert outcome.code == 1
    assert outcome.output.splitlines()[-1].startswith(f'Error: --work-dir {tmp_path}/work: ')


@pytest.mark.input_fault(
    'Interrupted runs',
    'a disk that is full when a checkpoint is written',
    'one error, with the file; the checkpoint before stays',
)
def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(atomic_backend, 'write_atomic', full)
    with pytest.raises(UserError, match='iter_4.pth: cannot be written .No space left on device.'):
        atomic_backend.AtomicBackend().put(b'', tmp_path / 'iter_4.pth')
