"""The page: in a browser, and when it is misused."""

import re
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from gradio_client import Client, handle_file

from helpers.processes import Job
from helpers.tools import run_tool


class Page(NamedTuple):
    """A page that is being served, by a process of its own."""

    url: str
    job: Job
    folder: Path

    def look(self, path: Path) -> tuple[str, str]:
        """HTML of the result and of the gates."""
        client = Client(self.url, verbose=False)
        result, gates = client.predict(handle_file(str(path)), LAYER, api_name='/look')[:2]
        return result, gates

    def peak(self) -> int:
        """Megabytes of memory that the server has had at most."""
        status = Path(f'/proc/{self.job.process.pid}/status').read_text()
        return int(re.search(r'VmHWM:\s+(\d+)', status)[1]) // 1024


LAYER = 'backbone.layer7.0.attention'


@pytest.fixture(scope='module')
def page(trained, tiny_config, tmp_path_factory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp('web')
    network = tiny_config, trained.work_dir / 'iter_12.pth'
    limits = ['--max-upload', 5, '--max-megapixels', 4, '--port', 0]
    job = Job(folder / 'log', 'web.py', *network, *limits, TMPDIR=folder)
    for _ in range(600):
        if found := re.search(r'^(http://127\.0\.0\.1:\d+/) shows', job.log.read_text(), re.M):
            break
        assert job.process.poll() is None, job.log.read_text()
        time.sleep(0.2)
    yield Page(found[1], job, folder)
    job.process.terminate()
    job.process.wait()


@pytest.fixture
def picture(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / 'scene.png'), rng.integers(0, 255, (64, 96, 3), np.uint8))
    return tmp_path / 'scene.png'


def test_a_picture_is_looked_at_in_a_browser(page, picture):
    helper = pytest.importorskip('helpers.browser')
    if not helper.found():
        pytest.skip(f'no Chromium here: {helper.INSTALL}')
    with helper.browser() as driver:
        helper.upload(driver, page.url, picture)
        overlay = driver.find_element('css selector', '#result figure.mmca-overlay')
        assert re.search(r'tiny \(CoordinateAttention\): 96 x 64 pixels, \d+ ms', overlay.text)
        image = overlay.find_element('css selector', 'img')
        # Picture and legend, really decoded.
        assert driver.execute_script('return arguments[0].naturalWidth', image) > 96 + 100
        assert driver.find_elements('css selector', '#gates figure.mmca-gates img')
        assert driver.find_element('css selector', '#result').text.count('Error') == 0


def test_what_cannot_be_looked_at_is_answered(page, picture, tmp_path):
    text = tmp_path / 'text.jpg'
    text.write_text('no picture')
    bomb = tmp_path / 'bomb.png'
    bomb.write_bytes(black_png(20_000))
    assert bomb.stat().st_size < 1e6
    before = page.peak()
    assert (
        'Error: text.jpg: cannot be decoded (no image that Pillow knows; it begins with b&#x27;'
        in (page.look(text)[0])
    )
    assert (
        'Error: bomb.png: 20000 x 20000 pixels; at most 4 megapixels are looked at'
        in (page.look(bomb)[0])
    )
    with pytest.raises(Exception, match='413|size|broken|reset|[Dd]isconnect'):
        huge = tmp_path / 'huge.jpg'
        with huge.open('wb') as file:
            file.truncate(200 * 2**20)
        page.look(huge)
    assert '<figure' in page.look(picture)[0]
    assert page.peak() - before < 150


def black_png(side: int) -> bytes:
    """A square of one bit a pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content).to_bytes(4, 'big')
        return len(content).to_bytes(4, 'big') + kind + content + check

    header = side.to_bytes(4, 'big') * 2 + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(bytes((1 + side // 8) * side), 9)
    parts = chunk(b'IHDR', header) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + parts


def test_twenty_requests_at_once_are_all_answered(page, picture):
    page.look(picture)
    before = page.peak()
    client = Client(page.url, verbose=False)
    jobs = [client.submit(handle_file(str(picture)), LAYER, api_name='/look') for _ in range(20)]
    answers = []
    for job in jobs:
        try:
            answers.append(job.result()[0])
        except Exception as error:  # of the client, when the queue is full
            answers.append(str(error))
    looked = [answer for answer in answers if '<figure' in answer]
    refused = [answer for answer in answers if 'queue' in answer.lower()]
    assert len(looked) >= 17 and len(looked) + len(refused) == 20, answers
    assert page.peak() - before < 300
    assert '<figure' in page.look(picture)[0]


def test_without_the_demo_the_network_has_to_be_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = run_tool('web')
    assert outcome.code == 1
    assert outcome.output.endswith(
        'Error: work_dirs/demo holds no network: `make demo` trains one, or name yours: '
        "make web NETWORKS='CONFIG CHECKPOINT'\n"
    )
    outcome = run_tool('web', 'configs/mbv2_sample.py')
    assert outcome.output.endswith('Error: configs/mbv2_sample.py: give a checkpoint behind it\n')
