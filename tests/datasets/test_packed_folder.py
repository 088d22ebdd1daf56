"""Pictures from one array are those of the files; without the array all is as before."""

import pickle

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from PIL import Image

from mmca.datasets.packed_folder import PackedFolder
from mmca.errors import UserError
from mmca.images.packing import pack

PIPELINE = [dict(type='mmca.LoadImageFromFile'), dict(type='PackInputs')]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ('cat/1.jpg', 'cat/0.jpg', 'dog/0.jpg'):
        path = tmp_path / 'train' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    return tmp_path / 'train'


def load(folder, **options):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return PackedFolder(
            data_root=str(folder.parent), data_prefix='train', pipeline=PIPELINE, **options
        )


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*.jpg'))


def test_the_array_holds_what_the_files_do_and_is_used(folder):
    from_files = [load(folder)[index] for index in range(3)]
    pack(folder, names(folder))
    dataset = load(folder)
    for index, expected in enumerate(from_files):
        item = dataset[index]
        assert item['inputs'].equal(expected['inputs'])
        for key in ('img_path', 'img_shape', 'ori_shape', 'sample_idx'):
            assert item['data_samples'].get(key) == expected['data_samples'].get(key)
        assert item['data_samples'].gt_label.equal(expected['data_samples'].gt_label)
    for path in folder.rglob('*.jpg'):
        path.write_bytes(b'')  # no file is read
    assert dataset[2]['inputs'].equal(from_files[2]['inputs'])
    sent = pickle.dumps(dataset)
    assert len(sent) < 5000 + len(pickle.dumps(load(folder)))
    assert pickle.loads(sent)[1]['inputs'].equal(from_files[1]['inputs'])
    dataset[0]['inputs'].zero_()  # the array stays as it is
    assert dataset[0]['inputs'].equal(from_files[0]['inputs'])


def test_an_array_of_other_pictures_is_left_aside(folder):
    pack(folder, names(folder))
    Image.new('RGB', (8, 8), (1, 2, 3)).save(folder / 'dog' / 'new.jpg')
    with pytest.warns(UserWarning, match=r'train.npy lacks .*new.jpg: files are read'):
        dataset = load(folder)
    assert dataset[3]['inputs'].float().mean().round() == 2
    pack(folder, names(folder))
    assert load(folder)[3]['inputs'].equal(dataset[3]['inputs'])


def test_pictures_of_different_sizes_are_not_packed(folder):
    Image.new('RGB', (9, 8)).save(folder / 'dog' / 'wide.jpg')
    with pytest.raises(UserError, match=r'wide.jpg: another size than the others'):
        pack(folder, names(folder))
    assert not (folder.parent / 'train.npy').exists()
    assert len(load(folder)) == 4
