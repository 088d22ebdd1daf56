"""Unpacking and downloading of archives."""

import functools
import hashlib
import shutil
import threading
import zipfile
from argparse import Namespace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mmca.dataprep.archives import Archive, ensure_archives, extract
from mmca.dataprep.common import PrepareError


def test_interrupted_unpacking_is_continued(tmp_path):
    files = {f'{index}.bin': bytes([index]) * 3000 for index in range(20)}
    (tmp_path / 'source' / 'set').mkdir(parents=True)
    for name, data in files.items():
        (tmp_path / 'source' / 'set' / name).write_bytes(data)
    shutil.make_archive(tmp_path / 'whole', 'tar', tmp_path / 'source')
    content = (tmp_path / 'whole.tar').read_bytes()
    (tmp_path / 'half.tar').write_bytes(content[: len(content) // 2])
    with pytest.raises(PrepareError, match=r'half\.tar is incomplete or damaged'):
        extract(tmp_path / 'half.tar', tmp_path / 'out', str)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'out/set').iterdir()}
    assert 5 < len(before) < 15
    extract(tmp_path / 'whole.tar', tmp_path / 'out', str)
    for name, data in files.items():
        assert (tmp_path / 'out' / 'set' / name).read_bytes() == data
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_file_of_the_user_is_not_overwritten(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
        archive.writestr('set/labels.txt', 'published')
    mine = tmp_path / 'set' / 'labels.txt'
    mine.parent.mkdir()
    mine.write_text('my corrections')
    with pytest.raises(PrepareError, match=r'labels\.txt has 14 bytes, 9 in .*a\.zip.*remove it'):
        extract(tmp_path / 'a.zip', tmp_path, str)
    assert mine.read_text() == 'my corrections'


@pytest.mark.parametrize('name', ['../escaped.txt', '/tmp/escaped.txt', 'a/../../escaped.txt'])
def test_an_archive_cannot_write_outside(tmp_path, name):
    with zipfile.ZipFile(tmp_path / 'evil.zip', 'w') as archive:
        archive.writestr(name, 'boo')
    with pytest.raises(PrepareError, match=r'evil\.zip is unsafe: it holds'):
        extract(tmp_path / 'evil.zip', tmp_path / 'out' / 'deep', str)
    assert not list(tmp_path.rglob('escaped.txt'))


class RangeServer(BaseHTTPRequestHandler):
    """Serves ``content`` and honours "Range: bytes=N-" as web servers do."""

    def __init__(self, content, requested, *args):
        self.content, self.requested = content, requested
        super().__init__(*args)

    def do_GET(self):
        asked = self.headers.get('Range')
        self.requested.append(asked)
        start = int(asked.removeprefix('bytes=').removesuffix('-')) if asked else 0
        if start >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header('Content-Length', str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start:])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    """A web server on this machine: what it serves, what was asked of it, its address."""
    content, requested = bytes(range(256)) * 40, []
    handler = functools.partial(RangeServer, content, requested)
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield content, requested, f'http://127.0.0.1:{http.server_port}/set.bin'
        http.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ('there', 'asked'), [(None, None), (4000, 'bytes=4000-'), (10240, 'bytes=10240-')]
)
def test_download_continues(server, tmp_path, there, asked):
    content, requested, url = server
    if there:
        (tmp_path / 'set.bin.part').write_bytes(content[:there])
    options = Namespace(archives=tmp_path, data_root=None, command='again')
    archive = Archive('set.bin', url, md5=hashlib.md5(content).hexdigest())
    assert ensure_archives([archive], options) == [tmp_path / 'set.bin']
    assert (tmp_path / 'set.bin').read_bytes() == content
    assert requested == [asked]
    assert [path.name for path in tmp_path.iterdir()] == ['set.bin']


def test_a_damaged_download_does_not_become_an_archive(server, tmp_path):
    content, _, url = server
    (tmp_path / 'set.bin.part').write_bytes(b'something else')
    options = Namespace(archives=tmp_path, data_root=None, command='again')
    archive = Archive('set.bin', url, md5=hashlib.md5(content).hexdigest())
    with pytest.raises(PrepareError, match=r'came out damaged and was discarded[^$]*run: again'):
        ensure_archives([archive], options)
    assert not list(tmp_path.iterdir())
    assert ensure_archives([archive], options)[0].read_bytes() == content
