"""A checkpoint that cannot be read, or is not safe, is refused, and told why."""

import functools
import gzip
import os
import pickle
import shutil
import threading
import zipfile
from collections import Counter
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from helpers.tools import run_tool
from mmca.checkpoint import CheckpointError, load_file

POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.trace),)


@pytest.fixture(params=['of this torch', 'for torch before 2.6'])
def reader(request, monkeypatch) -> None:
    """Both ways in which ``load_file`` refuses code, whatever torch is installed."""
    if request.param == 'for torch before 2.6':
        load = torch.load
        monkeypatch.delattr(torch.serialization, 'get_unsafe_globals_in_checkpoint', raising=False)
        # Their torch.load trusts by default.
        monkeypatch.setattr(
            torch, 'load', lambda *args, **options: load(*args, weights_only=False, **options)
        )


@pytest.mark.parametrize('form', ['zip', 'legacy', 'pickle'])
@pytest.mark.input_fault(
    'Weights',
    'a checkpoint with code in it',
    'refused, not run',
)
def test_code_in_a_checkpoint_is_refused_and_not_run(reader, tmp_path, form):
    path, trace = tmp_path / 'evil.pth', tmp_path / 'trace'
    content = {'state_dict': {'weight': torch.ones(2)}, 'meta': Malicious(trace)}
    if form == 'pickle':
        path.write_bytes(pickle.dumps(content['meta'], protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == 'zip')
    with pytest.raises(CheckpointError, match='refused, it holds more than weights') as error:
        load_file(path)
    assert str(path) in str(error.value)
    assert 'mkdir' in str(error.value)
    assert 'keep the state_dict alone' in str(error.value)
    assert not trace.exists()


def test_milestones_of_a_schedule_are_read(reader, tmp_path):
    """MultiStepLR keeps its milestones in a Counter; without it, its runs could not resume."""
    path = tmp_path / 'iter_2.pth'
    schedulers = [dict(milestones=Counter([40000, 50000]))]
    torch.save(dict(state_dict={}, param_schedulers=schedulers), path)
    assert load_file(path)['param_schedulers'] == schedulers


class ReachesForCode:
    """Asks for a function's globals by way of the class that checkpoints may hold."""

    def __reduce__(self) -> tuple:
        from mmengine.logging import HistoryBuffer

        return getattr, (HistoryBuffer, '__init__')


def test_getattr_reaches_only_public_methods_of_loss_histories(reader, tmp_path):
    torch.save({'state_dict': ReachesForCode()}, tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError, match=r'GLOBAL getattr|refused'):
        load_file(tmp_path / 'evil.pth')


@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
@pytest.mark.parametrize('kept', [0, 2, 0.5, 0.99], ids=lambda kept: f'{kept} kept')
@pytest.mark.input_fault(
    'Weights',
    'a checkpoint that is cut off',
    'refused',
)
def test_a_truncated_checkpoint_is_named(reader, tmp_path, legacy, kept):
    path = tmp_path / 'torn.pth'
    content = {'state_dict': {'weight': torch.arange(1000.0)}}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    assert torch.equal(load_file(path)['state_dict']['weight'], torch.arange(1000.0))
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    with pytest.raises(CheckpointError, match='not a readable checkpoint') as error:
        load_file(path)
    assert f'{path}: ' in str(error.value)
    assert f'({path.stat().st_size} bytes' in str(error.value)
    assert 'copy or download it again' in str(error.value)


@pytest.mark.input_fault(
    'Weights',
    'a web page, a pointer of Git LFS, an archive or an empty file in place of a checkpoint',
    'refused, and named so',
)
def test_other_files_than_checkpoints_are_named(reader, tmp_path):
    (tmp_path / 'page.pth').write_text('<html>Not found</html>')
    (tmp_path / 'pointer.pth').write_text(POINTER)
    torch.save([torch.ones(2)], tmp_path / 'list.pth')
    with zipfile.ZipFile(tmp_path / 'zip.pth', 'w') as archive:
        archive.write(tmp_path / 'list.pth', 'list.pth')
    (tmp_path / 'packed.pth').write_bytes(gzip.compress((tmp_path / 'list.pth').read_bytes()))
    torch.jit.trace(torch.nn.ReLU(), torch.ones(1)).save(str(tmp_path / 'script.pt'))
    (tmp_path / 'empty.pth').touch()
    for name, message in (
        ('gone.pth', 'no such checkpoint'),
        ('.', 'is a folder; name a file in it'),
        ('page.pth', 'not a readable checkpoint: it is a web page'),
        ('pointer.pth', 'a pointer of Git LFS, fetch the file itself with `git lfs pull`'),
        ('zip.pth', 'it is an archive, unpack it and give a file in it'),
        # torch before 2.6 reads it, a ScriptModule.
        ('script.pt', 'TorchScript, save the state_dict|ScriptModule, not a dict of weights'),
        ('packed.pth', 'it is an archive, unpack it and give a file in it'),
        ('empty.pth', r'not a readable checkpoint: it is empty \(0 bytes\)'),
        ('list.pth', 'holds a list, not a dict of weights'),
    ):
        with pytest.raises(CheckpointError, match=message) as error:
            load_file(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)


@pytest.mark.slow
def test_a_training_checkpoint_is_read_in_full(reader, trained):
    checkpoint = load_file(trained.work_dir / 'iter_12.pth')
    assert set(checkpoint) == {
        'meta',
        'state_dict',
        'message_hub',
        'optimizer',
        'param_schedulers',
    }
    losses = checkpoint['message_hub']['log_scalars']['train/loss']
    assert len(losses.data[0]) == 12
    assert losses.mean() > 0


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Address of a server of ``tmp_path/www``; downloads go to ``tmp_path/hub``."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    (tmp_path / 'www').mkdir()
    handler = functools.partial(SimpleHTTPRequestHandler, directory=tmp_path / 'www')
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{httpd.server_port}'
        httpd.shutdown()


def test_a_checkpoint_is_downloaded_and_read_as_safely_as_a_file(server, tmp_path):
    torch.save({'weight': torch.arange(3)}, tmp_path / 'www' / 'good.pth')
    torch.save({'weight': Malicious(tmp_path / 'trace')}, tmp_path / 'www' / 'evil.pth')
    for _ in range(2):
        assert load_file(f'{server}/good.pth')['weight'].tolist() == [0, 1, 2]
        (tmp_path / 'www' / 'good.pth').unlink(missing_ok=True)  # the second time from the cache
    with pytest.raises(CheckpointError, match='evil.pth: refused, it holds more than weights'):
        load_file(f'{server}/evil.pth')
    assert not (tmp_path / 'trace').exists()
    with pytest.raises(CheckpointError, match=r'gone.pth: cannot be downloaded \(.*404'):
        load_file(f'{server}/gone.pth')


def test_other_addresses_and_home_folders(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match='torchvision://resnet50: torchvision:// is not read'):
        load_file('torchvision://resnet50')
    monkeypatch.setenv('HOME', str(tmp_path))
    torch.save({'weight': torch.arange(3)}, tmp_path / 'home.pth')
    assert load_file('~/home.pth')['weight'].tolist() == [0, 1, 2]


@pytest.mark.slow
def test_testing_takes_an_address(server, trained, tiny_config, tmp_path):
    shutil.copy(trained.work_dir / 'iter_12.pth', tmp_path / 'www')
    outcome = run_tool('test', tiny_config, f'{server}/iter_12.pth', '--work-dir', tmp_path / 'run')
    assert outcome.code == 0, outcome.output
    assert 'mIoU' in outcome.output
