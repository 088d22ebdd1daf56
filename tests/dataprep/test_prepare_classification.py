"""CIFAR-10 and ImageNet through tools/prepare_data.py, on small archives of the same layout."""

import functools
import hashlib
import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from helpers.archives import picture, tree, write_files, write_tar, write_zip
from helpers.tools import run_tool, truncate
from mmca.dataprep import cifar10, imagenet

prepare = functools.partial(run_tool, 'prepare_data')


@pytest.mark.parametrize('dataset', ['cifar10', 'imagenet'])
def test_check_without_data(tmp_path, dataset):
    outcome = prepare(dataset, '--data-root', tmp_path, '--check')
    assert outcome.code == 1
    assert outcome.output == (
        f'Error: {tmp_path}/{dataset} does not exist; run: python tools/prepare_data.py {dataset} '
        f'--data-root {tmp_path}\n'
    )
    assert not list(tmp_path.iterdir())


# --- CIFAR-10 --------------------------------------------------------------------------------


@pytest.fixture
def cifar_files(monkeypatch):
    """Three training images and one test image per class, by their path."""
    assert cifar10.EXPECTED == {'train': 5000, 'test': 1000}
    assert len(cifar10.CLASSES) == 10
    monkeypatch.setattr(cifar10, 'EXPECTED', {'train': 3, 'test': 1})
    names = [
        f'{split}/{name}/{index:04d}.jpg'
        for split, count in cifar10.EXPECTED.items()
        for name in cifar10.CLASSES
        for index in range(count)
    ]
    return {name: picture(seed, 'JPEG', (32, 32)) for seed, name in enumerate(names)}


def pictures(root):
    """The image folder, without the arrays of it."""
    packed = [
        f'{split}{suffix}' for split in ('train', 'test') for suffix in ('.npy', '.packed.txt')
    ]
    return {name: data for name, data in tree(root).items() if name not in packed}


@pytest.fixture
def cifar(tmp_path, cifar_files):
    """A data root with the published archive's small likeness."""
    (tmp_path / 'archives').mkdir()
    archive = {f'CIFAR-10-images-master/{name}': data for name, data in cifar_files.items()}
    archive['CIFAR-10-images-master/README.md'] = b'CIFAR-10'
    write_zip(tmp_path / 'archives' / cifar10.ARCHIVE.filename, archive)
    return tmp_path


def test_cifar10_from_the_published_archive(cifar, cifar_files):
    outcome = prepare('cifar10', '--data-root', cifar)
    assert f'{cifar}/cifar10 is complete: 30 train, 10 test' in outcome.output
    assert pictures(cifar / 'cifar10') == cifar_files
    # What is complete needs no archive any more.
    (cifar / 'archives' / cifar10.ARCHIVE.filename).unlink()
    assert prepare('cifar10', '--data-root', cifar).code == 0


def test_cifar10_from_a_folder(tmp_path, cifar_files):
    write_files(tmp_path / 'mine', {**cifar_files, 'train/notes.txt': b'mine'})
    outcome = prepare('cifar10', '--data-root', tmp_path, '--from-folder', tmp_path / 'mine')
    assert outcome.code == 0, outcome.output
    assert pictures(tmp_path / 'cifar10') == cifar_files
    assert tree(tmp_path / 'mine') == {**cifar_files, 'train/notes.txt': b'mine'}


@pytest.mark.parametrize('prefix', ['', 'images/'])
def test_cifar10_from_another_archive(tmp_path, cifar_files, prefix):
    path = tmp_path / 'mine.tgz'
    write_tar(path, {f'{prefix}{name}': data for name, data in cifar_files.items()})
    outcome = prepare('cifar10', '--data-root', tmp_path, '--from-archive', path)
    assert outcome.code == 0, outcome.output
    assert pictures(tmp_path / 'cifar10') == cifar_files


def test_cifar10_from_a_folder_without_a_class(tmp_path, cifar_files):
    write_files(tmp_path / 'mine', {k: v for k, v in cifar_files.items() if 'test/ship' not in k})
    outcome = prepare('cifar10', '--data-root', tmp_path, '--from-folder', tmp_path / 'mine')
    assert f'--from-folder {tmp_path}/mine has no *.jpg in test/ship\n' in outcome.output
    assert not (tmp_path / 'cifar10').exists()


def test_cifar10_continues_where_it_stopped(cifar, cifar_files):
    done = {name: data for name, data in cifar_files.items() if name.startswith('train')}
    write_files(cifar / 'cifar10', done)
    write_files(cifar / 'cifar10', {'test/airplane/.0000.jpg.partial': b'half of an image'})
    before = {name: (cifar / 'cifar10' / name).stat().st_mtime_ns for name in done}
    outcome = prepare('cifar10', '--data-root', cifar, '--check')
    assert 'test/ship: 0 images, should be 1' in outcome.output
    assert prepare('cifar10', '--data-root', cifar).code == 0
    assert pictures(cifar / 'cifar10') == cifar_files
    assert {name: (cifar / 'cifar10' / name).stat().st_mtime_ns for name in done} == before


def test_cifar10_problems_are_named(cifar):
    prepare('cifar10', '--data-root', cifar)
    root = cifar / 'cifar10'
    (root / 'train/dog/0001.jpg').write_bytes(picture(0, 'JPEG', (32, 31)))
    outcome = prepare('cifar10', '--data-root', cifar, '--check')
    assert f'{root}/train/dog/0001.jpg: (31, 32) pixels (width, height)' in outcome.output

    cut = truncate(root / 'train/cat/0001.jpg')
    (root / 'test/frog/0000.jpg').unlink()
    write_files(root, {'train/unicorn/0000.jpg': b'mine', 'train/bird/mine.png': b'mine'})
    outcome = prepare('cifar10', '--data-root', cifar, '--check')
    assert 'test/frog: 0 images, should be 1' in outcome.output
    assert f'{cut}: cannot be decoded' in outcome.output
    for stray in ('train/unicorn', 'train/unicorn/0000.jpg', 'train/bird/mine.png'):
        assert f'{root}/{stray}: does not belong here' in outcome.output


def test_cifar10_is_packed_into_arrays_once(cifar, cifar_files):
    assert prepare('cifar10', '--data-root', cifar).code == 0
    root = cifar / 'cifar10'
    names = (root / 'train.packed.txt').read_text().splitlines()
    assert names == sorted(name.removeprefix('train/') for name in cifar_files if 'train' in name)
    array = np.load(root / 'train.npy')
    assert array.shape == (30, 32, 32, 3) and array.dtype == np.uint8
    with Image.open(root / 'train' / names[7]) as image:
        assert (np.asarray(image)[..., ::-1] == array[7]).all()
    before = (root / 'train.npy').stat().st_mtime_ns
    (root / 'test.npy').unlink()
    assert prepare('cifar10', '--data-root', cifar).code == 0
    assert (root / 'train.npy').stat().st_mtime_ns == before
    assert np.load(root / 'test.npy').shape == (10, 32, 32, 3)


# --- ImageNet --------------------------------------------------------------------------------

# Numbers of the development kit, not in the order of the WordNet ids; 4 is not a leaf.
WNIDS = {1: 'n02119789', 2: 'n01440764', 3: 'n02100735', 4: 'n00001740'}
LABELS = [3, 1, 1, 2, 3, 2]


def train_files():
    return {
        wnid: {
            f'{wnid}_{index}.JPEG': picture(number * 10 + index, 'JPEG', (64, 64))
            for index in range(4)
        }
        for number, wnid in list(WNIDS.items())[:3]
    }


def val_files():
    return {
        f'ILSVRC2012_val_{index:08d}.JPEG': picture(100 + index, 'JPEG')
        for index in range(1, len(LABELS) + 1)
    }


def devkit_files():
    savemat = pytest.importorskip('scipy.io').savemat
    kind = [('ILSVRC2012_ID', 'O'), ('WNID', 'O'), ('words', 'O')]
    buffer = io.BytesIO()
    savemat(buffer, {'synsets': np.array([(*item, 'a fish') for item in WNIDS.items()], kind)})
    return {
        'ILSVRC2012_devkit_t12/readme.txt': b'ILSVRC 2012',
        'ILSVRC2012_devkit_t12/data/meta.mat': buffer.getvalue(),
        'ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt': ''.join(
            f'{label}\n' for label in LABELS
        ).encode(),
    }


@pytest.fixture
def ilsvrc(tmp_path, monkeypatch):
    """A data root with the three archives, their counts and checksums those of the small ones."""
    for folder in ('archives', 'made'):
        (tmp_path / folder).mkdir()

    def packed(files, name='made.tar'):
        write_tar(tmp_path / 'made' / name, files)
        return (tmp_path / 'made' / name).read_bytes()

    archives = {
        'TRAIN': packed({f'{wnid}.tar': packed(files) for wnid, files in train_files().items()}),
        'VAL': packed(val_files()),
        'DEVKIT': packed(devkit_files(), 'made.tgz'),
    }
    for name, content in archives.items():
        archive = getattr(imagenet, name)
        (tmp_path / 'archives' / archive.filename).write_bytes(content)
        monkeypatch.setattr(imagenet, name, replace(archive, md5=hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(imagenet, 'EXPECTED', {'train': 12, 'val': 6})
    monkeypatch.setattr(imagenet, 'CLASSES', 3)
    monkeypatch.setattr(imagenet, 'PER_CLASS', {'train': (3, 5), 'val': (2, 2)})
    return tmp_path


def expected_files():
    files = {
        f'train/{wnid}/{name}': content
        for wnid, members in train_files().items()
        for name, content in members.items()
    }
    for label, (name, content) in zip(LABELS, val_files().items(), strict=True):
        files[f'val/{WNIDS[label]}/{name}'] = content
    return files


def test_published_numbers_of_imagenet():
    assert imagenet.EXPECTED == {'train': 1_281_167, 'val': 50_000}
    assert imagenet.CLASSES == 1000
    meta = pytest.importorskip('torchvision.datasets.imagenet').ARCHIVE_META
    for name, archive in (('train', imagenet.TRAIN), ('val', imagenet.VAL)):
        assert meta[name] == (archive.filename, archive.md5)
    assert meta['devkit'] == (imagenet.DEVKIT.filename, imagenet.DEVKIT.md5)


def test_imagenet(ilsvrc):
    archives = tree(ilsvrc / 'archives')
    outcome = prepare('imagenet', '--data-root', ilsvrc)
    assert f'{ilsvrc}/imagenet is complete: 12 train, 6 val' in outcome.output
    assert tree(ilsvrc / 'imagenet') == expected_files()
    assert sorted(path.name for path in (ilsvrc / 'imagenet').iterdir()) == ['train', 'val']
    assert tree(ilsvrc / 'archives') == archives
    (ilsvrc / 'archives').rename(ilsvrc / 'elsewhere')
    for options in ([], ['--check']):
        assert prepare('imagenet', '--data-root', ilsvrc, *options).code == 0


def test_imagenet_says_where_to_get_the_archives_that_are_missing(ilsvrc):
    for archive in (imagenet.TRAIN, imagenet.DEVKIT):
        (ilsvrc / 'archives' / archive.filename).unlink()
    outcome = prepare('imagenet', '--data-root', ilsvrc)
    assert outcome.code == 1
    for archive in (imagenet.TRAIN, imagenet.DEVKIT):
        path = ilsvrc / 'archives' / archive.filename
        assert f'{path} is missing and its publisher wants a login' in outcome.output
        assert f'2012-downloads.php (login)\n      save as {path}' in outcome.output
    assert 'img_val' not in outcome.output
    assert not (ilsvrc / 'imagenet').exists()


def test_imagenet_damaged_download_is_named_before_anything_is_unpacked(ilsvrc):
    path = truncate(ilsvrc / 'archives' / imagenet.TRAIN.filename)
    outcome = prepare('imagenet', '--data-root', ilsvrc)
    assert outcome.code == 1
    assert f'{path} is incomplete or damaged' in outcome.output
    assert not (ilsvrc / 'imagenet').exists()


def test_imagenet_interrupted_unpacking_is_not_taken_for_complete(ilsvrc, monkeypatch):
    path = ilsvrc / 'archives' / imagenet.TRAIN.filename
    whole = path.read_bytes()
    with tarfile.open(path) as outer:
        second = outer.getmember(f'{WNIDS[2]}.tar')
        with tarfile.open(fileobj=outer.extractfile(second)) as inner:
            fourth_image = second.offset_data + inner.getmembers()[3].offset_data
    path.write_bytes(whole[: fourth_image + 100])
    monkeypatch.setattr(imagenet, 'TRAIN', replace(imagenet.TRAIN, md5=None))
    root = ilsvrc / 'imagenet'
    outcome = prepare('imagenet', '--data-root', ilsvrc)
    assert outcome.code == 1
    assert f'{path} is incomplete or damaged' in outcome.output
    assert [folder.name for folder in (root / 'train').iterdir()] == [WNIDS[1]]
    first = {file: file.stat().st_mtime_ns for file in (root / 'train' / WNIDS[1]).iterdir()}
    assert len(first) == 4
    assert len(list((root / 'train.unpacking' / WNIDS[2]).iterdir())) in (1, 2, 3)
    outcome = prepare('imagenet', '--data-root', ilsvrc, '--check')
    assert 'train: 4 images, should be 12' in outcome.output
    assert f'{root}/train: 1 class folders, should be 3' in outcome.output

    path.write_bytes(whole)
    assert prepare('imagenet', '--data-root', ilsvrc).code == 0
    assert tree(root) == expected_files()
    assert {file: file.stat().st_mtime_ns for file in first} == first


def test_imagenet_problems_are_named_and_mended(ilsvrc):
    prepare('imagenet', '--data-root', ilsvrc)
    root = ilsvrc / 'imagenet'
    empty = root / 'train' / WNIDS[1] / f'{WNIDS[1]}_0.JPEG'
    empty.write_bytes(b'')
    gone = root / 'val' / WNIDS[2] / 'ILSVRC2012_val_00000004.JPEG'
    gone.unlink()
    write_files(root, {'val/labels.txt': b'mine'})
    outcome = prepare('imagenet', '--data-root', ilsvrc, '--check')
    assert 'train: 11 images, should be 12' in outcome.output
    assert f'{empty}: empty' in outcome.output
    assert f'{gone.parent}: 1 images, should be 2' in outcome.output
    assert f'{root}/val/labels.txt: not a class folder' in outcome.output
    # As the message says: whole class folders of train, single files of val.
    empty.parent.rename(ilsvrc / 'aside')
    (root / 'val/labels.txt').rename(ilsvrc / 'labels.txt')
    assert prepare('imagenet', '--data-root', ilsvrc).code == 0
    assert tree(root) == expected_files()


def test_imagenet_a_class_of_the_user_is_left_alone(ilsvrc):
    mine = ilsvrc / 'imagenet' / 'train' / WNIDS[1]
    write_files(mine, {'mine.JPEG': b'mine'})
    outcome = prepare('imagenet', '--data-root', ilsvrc)
    assert f'{mine}: 1 images, should be 3 to 5' in outcome.output
    assert tree(mine) == {'mine.JPEG': b'mine'}
