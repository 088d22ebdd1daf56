"""COCO, VOC 2007+2012 and BCCD through tools/prepare_data.py, on small archives of their layout."""

import functools
import hashlib
import json
from dataclasses import replace

import pytest

from helpers.archives import CLOSED, picture, tree, write_files, write_tar, write_zip
from helpers.tools import run_tool, truncate
from mmca.dataprep import bccd, coco, voc0712, voc2012

prepare = functools.partial(run_tool, 'prepare_data')


def small(archive, path):
    """The archive with the checksum of the small one and an address where nothing listens."""
    md5 = archive.md5 and hashlib.md5(path.read_bytes()).hexdigest()
    return replace(archive, url=CLOSED + archive.filename, md5=md5)


@pytest.mark.parametrize(
    ('dataset', 'folder'), [('coco', 'coco'), ('voc0712', 'VOCdevkit'), ('bccd', 'bccd')]
)
def test_check_without_data(tmp_path, dataset, folder):
    outcome = prepare(dataset, '--data-root', tmp_path, '--check')
    assert outcome.code == 1
    assert outcome.output == (
        f'Error: {tmp_path}/{folder} does not exist; run: python tools/prepare_data.py {dataset} '
        f'--data-root {tmp_path}\n'
    )
    assert not list(tmp_path.iterdir())


# --- COCO ------------------------------------------------------------------------------------

# The ten numbers of 1 to 90 that COCO leaves out.
IDS = sorted({*range(1, 91)} - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
IMAGES = {'train2017': (9, 25, 30), 'val2017': (139, 285)}


def instances(split):
    """Boxes on all images but the last."""
    first, *_ = shown = IMAGES[split][:-1]
    annotations = [
        {'id': 10 * number, 'image_id': number, 'bbox': [1.5, 2.25, 20.1, 9.99], 'iscrowd': 0}
        for number in shown
    ]
    annotations.append({'id': 1, 'image_id': first, 'bbox': [0, 0, 9, 20], 'iscrowd': 1})
    return {
        'info': {},
        'images': [
            {'id': number, 'file_name': f'{number:012d}.jpg', 'width': 32, 'height': 24}
            for number in IMAGES[split]
        ],
        'annotations': [{**item, 'category_id': 90, 'area': 100.5} for item in annotations],
        'categories': [
            {'id': number, 'name': name} for number, name in zip(IDS, coco.CLASSES, strict=True)
        ],
    }


def coco_files():
    files = {
        f'{split}/{number:012d}.jpg': picture(number, 'JPEG')
        for split, numbers in IMAGES.items()
        for number in numbers
    }
    for split in IMAGES:
        files[f'annotations/instances_{split}.json'] = json.dumps(instances(split)).encode()
    return files


@pytest.fixture
def coco_root(tmp_path, monkeypatch):
    """A data root with the three archives."""
    folder = tmp_path / 'archives'
    folder.mkdir()
    for name, archive in list(coco.ARCHIVES.items()):
        files = {path: data for path, data in coco_files().items() if path.startswith(name)}
        if name == 'annotations':
            files['annotations/captions_val2017.json'] = b'{}'
        write_zip(folder / archive.filename, files)
        monkeypatch.setitem(coco.ARCHIVES, name, small(archive, folder / archive.filename))
    monkeypatch.setattr(coco, 'EXPECTED', {'train2017': 3, 'val2017': 2})
    return tmp_path


def test_published_numbers():
    assert coco.EXPECTED == {'train2017': 118287, 'val2017': 5000}
    assert voc0712.EXPECTED['VOC2007'] == {'trainval': 5011, 'test': 4952}
    assert voc0712.EXPECTED['VOC2012'] == {'trainval': 11540}
    assert bccd.EXPECTED == {'train': 205, 'val': 87, 'test': 72}
    meta = pytest.importorskip('torchvision.datasets.voc').DATASET_YEAR_DICT
    for year, key in (('2007', 'trainval'), ('2007-test', 'test')):
        archive = voc0712.ARCHIVES['VOC2007', key]
        assert (meta[year]['url'], meta[year]['md5']) == (archive.url, archive.md5)


@pytest.mark.slow
def test_classes_are_those_of_mmdet():
    from mmdet.datasets import CocoDataset

    assert CocoDataset.METAINFO['classes'] == coco.CLASSES


def test_coco(coco_root):
    archives = tree(coco_root / 'archives')
    outcome = prepare('coco', '--data-root', coco_root)
    assert (
        f'{coco_root}/coco is complete: 3 train2017, 2 val2017, 5 boxes (2 crowd), '
        '2 images without objects\n'
    ) in outcome.output
    assert tree(coco_root / 'coco') == coco_files()
    assert tree(coco_root / 'archives') == archives
    (coco_root / 'archives').rename(coco_root / 'elsewhere')
    for options in ([], ['--check']):
        assert prepare('coco', '--data-root', coco_root, *options).code == 0


def test_coco_fetches_what_is_missing(coco_root):
    prepare('coco', '--data-root', coco_root)
    image = coco_root / 'coco' / 'val2017' / '000000000139.jpg'
    image.unlink()
    for name in ('train2017', 'annotations'):
        (coco_root / 'archives' / coco.ARCHIVES[name].filename).unlink()
    outcome = prepare('coco', '--data-root', coco_root, '--check')
    assert 'val2017: 1 images, should be 2' in outcome.output
    assert f'instances_val2017.json: image 139: {image} is missing' in outcome.output
    assert prepare('coco', '--data-root', coco_root).code == 0
    assert tree(coco_root / 'coco') == coco_files()
    (coco_root / 'coco' / 'annotations' / 'instances_train2017.json').unlink()
    outcome = prepare('coco', '--data-root', coco_root)
    assert outcome.code == 1
    assert f'{CLOSED}annotations_trainval2017.zip\n      save as' in outcome.output
    assert '/train2017.zip' not in outcome.output


def test_coco_problems_are_named(coco_root):
    prepare('coco', '--data-root', coco_root)
    cut = truncate(coco_root / 'coco' / 'train2017' / '000000000025.jpg')
    path = coco_root / 'coco' / 'annotations' / 'instances_val2017.json'
    content = instances('val2017')
    content['annotations'][0]['category_id'] = 12
    content['annotations'][1]['image_id'] = 140
    content['images'].pop()
    path.write_text(json.dumps(content))
    outcome = prepare('coco', '--data-root', coco_root, '--check')
    assert outcome.code == 1
    assert 'has 4 problem(s)' in outcome.output
    assert f'{path}: 1 images, should be 2' in outcome.output
    assert f'{path}: annotation 1390: category id 12 is not among the categories' in outcome.output
    assert f'{path}: annotation 1: image id 140 is not among the images' in outcome.output
    assert f'{cut}: cannot be decoded' in outcome.output
    assert 'Remove the files named above that exist, then run: python' in outcome.output


# --- VOC 2007 and 2012 -----------------------------------------------------------------------


def annotation(*names):
    """An image of 32x24 pixels with an object of each name."""
    corners = '<xmin>2</xmin><ymin>3</ymin><xmax>30.5</xmax><ymax>20</ymax>'
    objects = (f'<object><name>{name}</name><bndbox>{corners}</bndbox></object>' for name in names)
    size = '<size><width>32</width><height>24</height></size>'
    return f'<annotation>{size}{"".join(objects)}</annotation>'.encode()


def voc_files(folder, lists):
    """A dataset in VOC's layout with the given detection lists."""
    files = {}
    for split, names in lists.items():
        files[f'{folder}ImageSets/Main/{split}.txt'] = '\n'.join(names).encode()
        for name in names:
            files[f'{folder}JPEGImages/{name}.jpg'] = picture(len(files), 'JPEG')
            files[f'{folder}Annotations/{name}.xml'] = annotation('cat', 'person')
    return files


VOC_LISTS = {
    ('VOC2007', 'trainval'): ('000005', '000007'),
    ('VOC2007', 'test'): ('000001', '000002', '000003'),
    ('VOC2012', 'trainval'): ('2008_000008',),
}


@pytest.fixture
def voc_root(tmp_path, monkeypatch):
    """A data root with the three archives."""
    folder = tmp_path / 'archives'
    folder.mkdir()
    for (year, split), names in VOC_LISTS.items():
        archive = voc0712.ARCHIVES[year, split]
        write_tar(folder / archive.filename, voc_files(f'VOCdevkit/{year}/', {split: names}))
        replaced = small(archive, folder / archive.filename)
        monkeypatch.setitem(voc0712.ARCHIVES, (year, split), replaced)
    expected = {'VOC2007': {'trainval': 2, 'test': 3}, 'VOC2012': {'trainval': 1}}
    monkeypatch.setattr(voc0712, 'EXPECTED', expected)
    return tmp_path


def test_voc0712(voc_root):
    outcome = prepare('voc0712', '--data-root', voc_root)
    assert (
        f'{voc_root}/VOCdevkit is complete: 2 VOC2007/trainval, 3 VOC2007/test, '
        '1 VOC2012/trainval, 12 boxes\n'
    ) in outcome.output
    expected = {}
    for (year, split), names in VOC_LISTS.items():
        expected |= voc_files(f'{year}/', {split: names})
    assert tree(voc_root / 'VOCdevkit') == expected
    (voc_root / 'archives').rename(voc_root / 'elsewhere')
    for options in ([], ['--check']):
        assert prepare('voc0712', '--data-root', voc_root, *options).code == 0


def test_voc2012_of_the_segmentation_serves_detection(voc_root):
    assert voc0712.ARCHIVES['VOC2012', 'trainval'].filename == voc2012.VOC.filename
    there = voc_files('', {'trainval': VOC_LISTS['VOC2012', 'trainval']})
    write_files(voc_root / 'VOCdevkit' / 'VOC2012', there)
    mask = voc_root / 'VOCdevkit' / 'VOC2012' / 'SegmentationClassAug' / 'mine.png'
    mask.parent.mkdir()
    mask.write_bytes(b'mine')
    (voc_root / 'archives' / voc2012.VOC.filename).unlink()
    outcome = prepare('voc0712', '--data-root', voc_root, '--check')
    assert 'VOC2007/ImageSets/Main/test.txt: 0 images, should be 3' in outcome.output
    assert prepare('voc0712', '--data-root', voc_root).code == 0
    assert mask.read_bytes() == b'mine'


def test_voc_problems_are_named_and_mended(voc_root):
    prepare('voc0712', '--data-root', voc_root)
    root = voc_root / 'VOCdevkit' / 'VOC2007'
    cut = truncate(root / 'JPEGImages' / '000002.jpg')
    gone = root / 'Annotations' / '000003.xml'
    gone.unlink()
    changed = root / 'Annotations' / '000007.xml'
    changed.write_bytes(annotation('person', 'kitten'))
    outcome = prepare('voc0712', '--data-root', voc_root, '--check')
    assert outcome.code == 1
    assert 'has 3 problem(s)' in outcome.output
    assert f'{cut}: cannot be decoded' in outcome.output
    assert f'{gone}: missing' in outcome.output
    assert f"{changed}: object 2: class 'kitten' is not one of aeroplane, " in outcome.output
    for path in (cut, changed):  # as the message says
        path.unlink()
    assert prepare('voc0712', '--data-root', voc_root).code == 0


# --- BCCD ------------------------------------------------------------------------------------


@pytest.fixture
def bccd_files(monkeypatch):
    """Four images; the box of one cell has no area, as in the published data."""
    monkeypatch.setattr(bccd, 'EXPECTED', {'train': 2, 'val': 1, 'test': 1})
    lists = {'train': ('a', 'b'), 'val': ('c',), 'test': ('d',)}
    files = voc_files('', {**lists, 'trainval': ('a', 'b', 'c')})
    for name in 'abcd':
        files[f'Annotations/{name}.xml'] = annotation('RBC', 'WBC', 'Platelets')
    files['Annotations/d.xml'] = annotation('RBC').replace(b'30.5', b'2')
    return files


def test_bccd_from_archive(tmp_path, bccd_files):
    (tmp_path / 'archives').mkdir()
    archive = {f'BCCD_Dataset-master/BCCD/{name}': data for name, data in bccd_files.items()}
    archive |= {'BCCD_Dataset-master/README.md': b'BCCD', 'BCCD_Dataset-master/BCCD/.DS_Store': b''}
    write_zip(tmp_path / 'archives' / bccd.ARCHIVE.filename, archive)
    outcome = prepare('bccd', '--data-root', tmp_path)
    summary = '2 train, 1 val, 1 test, 10 boxes (1 without area)'
    assert f'{tmp_path}/bccd is complete: {summary}\n' in outcome.output
    assert tree(tmp_path / 'bccd') == bccd_files


def test_bccd_from_folder(tmp_path, bccd_files):
    write_files(tmp_path / 'mine', {**bccd_files, 'JPEGImages/notes.doc': b'mine'})
    before = tree(tmp_path / 'mine')
    options = ('bccd', '--data-root', tmp_path, '--from-folder', tmp_path / 'mine')
    assert prepare(*options).code == 0
    assert tree(tmp_path / 'bccd') == bccd_files
    # What is gone comes back, what is there stays.
    changed, gone = (tmp_path / 'bccd' / 'Annotations' / f'{name}.xml' for name in 'ab')
    changed.write_bytes(annotation('RBC'))
    gone.unlink()
    assert prepare(*options).code == 0
    assert changed.read_bytes() == annotation('RBC')
    assert gone.read_bytes() == bccd_files['Annotations/b.xml']
    assert tree(tmp_path / 'mine') == before


def test_bccd_from_a_folder_of_another_layout(tmp_path):
    (tmp_path / 'mine' / 'JPEGImages').mkdir(parents=True)
    outcome = prepare('bccd', '--data-root', tmp_path, '--from-folder', tmp_path / 'mine')
    assert outcome.code == 1
    assert 'mine lacks the folder(s) Annotations, ImageSets\n' in outcome.output
    assert not (tmp_path / 'bccd').exists()
