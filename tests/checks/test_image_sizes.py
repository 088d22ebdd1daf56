"""Sizes from headers are those of the loaded images, kept while the files stay the same."""

import json
import os

import pytest
from PIL import Image

from mmca.checks import kept
from mmca.checks.image_sizes import read_sizes, warn_of_flips


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp'])
@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_the_size_is_that_of_the_loaded_image(tmp_path, suffix, orientation):
    from mmca.datasets.transforms import LoadImageFromFile

    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f'a.{suffix}'
    Image.new('RGB', (64, 48)).save(path, exif=exif)
    size = read_sizes([path])[path]
    for color_type, turned in (('color', True), ('color_ignore_orientation', False)):
        loaded = LoadImageFromFile(color_type=color_type)(dict(img_path=str(path)))
        assert size.loaded(exif=turned) == loaded['img_shape'][::-1]


def test_what_is_no_image_has_no_size(tmp_path):
    empty, text, deep = (tmp_path / name for name in ('a.jpg', 'b.jpg', 'c.tif'))
    empty.touch()
    text.write_text('a web page')
    Image.new('F', (4, 4)).save(deep)
    paths = [empty, text, deep, tmp_path / 'gone.jpg', tmp_path]
    found = read_sizes(paths)
    assert list(found) == paths[:3]
    assert found[empty].startswith(f'{empty}: cannot be decoded (empty, 0 bytes)')
    assert found[text].startswith(f'{text}: cannot be decoded (no image that Pillow knows')
    assert found[deep].startswith(f'{deep}: mode F (32 bits a pixel) has no value')
    assert read_sizes(paths, plain=False) == {empty: None, text: None, deep: None}


def test_kept_sizes_follow_the_files(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(kept, '_WORTH_KEEPING', 0)
    path = tmp_path / 'a.png'
    Image.new('RGB', (64, 48)).save(path)
    assert read_sizes([path])[path][:2] == (64, 48)
    (store,) = tmp_path.glob('cache/mmca/images/*.json')
    entries = json.loads(store.read_text())
    entries['a.png'][2] = 63
    store.write_text(json.dumps(entries))
    assert read_sizes([path])[path][:2] == (63, 48)  # not read again
    os.utime(path, (1, 1))
    assert read_sizes([path])[path][:2] == (64, 48)
    store.write_text('damaged')
    assert read_sizes([path])[path][:2] == (64, 48)


@pytest.mark.parametrize('orientation', [2, 3, 4])
@pytest.mark.input_fault(
    'Images',
    'photos that EXIF mirrors or turns by 180 degrees, so that their sizes stay',
    'loaded so; a warning counts them',
)
def test_turns_that_keep_the_size_are_told(tmp_path, capsys, orientation):
    exif = Image.Exif()
    for number in range(4):
        exif[0x0112] = orientation if number < 2 else (6, 1)[number - 2]
        Image.new('RGB', (64, 48)).save(tmp_path / f'{number}.jpg', exif=exif)
    sizes = read_sizes(sorted(tmp_path.iterdir()))
    warn_of_flips(sizes)
    message = capsys.readouterr().err
    assert message.startswith(f'Warning: the EXIF of 2 images, such as {tmp_path}/0.jpg, turns')
    assert message.count('\n') == 1
    warn_of_flips({path: sizes[path] for path in list(sizes)[2:]})
    assert capsys.readouterr().err == ''
