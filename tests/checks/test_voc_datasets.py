"""What is looked at in a dataset in VOC's layout before it runs: the list, and what it names."""

import pytest
from mmengine.config import Config
from PIL import Image

from helpers.annotations import box
from helpers.tools import ROOT
from mmca.checks.boxes import malformed_boxes

TRAIN = 'train_dataloader'


def check(cfg, *loaders):
    return malformed_boxes(cfg, loaders or (TRAIN,))


@pytest.fixture
def voc(tmp_path):
    """BCCD's config over four images, one of whose names has a blank in it."""
    names = ('boat 1', 'b', 'c', 'd')
    for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (tmp_path / folder).mkdir(parents=True)
    for name in names:
        Image.new('RGB', (40, 30)).save(tmp_path / f'JPEGImages/{name}.jpg')
        content = f'<annotation>{box(2, 2, 20, 20, "RBC")}</annotation>'
        (tmp_path / f'Annotations/{name}.xml').write_text(content)
    path = tmp_path / 'ImageSets/Main/train.txt'
    path.write_text('\n'.join(names))
    cfg = Config.fromfile(ROOT / 'configs/ssdlite320_mbv2ca_bccd.py')
    cfg.train_dataloader.dataset.data_root = str(tmp_path)
    return cfg, path


@pytest.mark.input_fault(
    'Lists and folders',
    'names with blanks in them in a list of VOC',
    'read',
)
@pytest.mark.input_fault(
    'Lists and folders',
    'blank lines, a byte order mark, blanks around names, Latin-1 in a list of VOC',
    'refused, with list and line',
)
def test_a_list_is_read_as_mmengine_reads_it(voc):
    cfg, path = voc
    assert check(cfg, TRAIN) == []
    path.write_bytes(b'boat 1\r\nb\r\n')
    assert check(cfg, TRAIN) == []
    path.write_text('boat 1\nb \n\nc', encoding='utf-8-sig')
    assert check(cfg, TRAIN) == [
        f'{path}: line 1 begins with a byte order mark: save the list as UTF-8 without one',
        f"{path}: line 2 has blanks around the name, 'b ': remove them",
        f'{path}: line 3 is blank: remove it',
    ]
    path.write_bytes('bøat'.encode('latin-1'))
    (problem,) = check(cfg, TRAIN)
    assert problem.startswith(f'{path}: not UTF-8 (')
    path.write_text('')
    assert check(cfg, TRAIN)[0] == f'{path}: lists no images'
    path.unlink()
    path.mkdir()
    assert check(cfg, TRAIN)[0] == f'{path}: cannot be read (Is a directory)'


@pytest.mark.input_fault(
    'Missing files',
    'an image or annotation of VOC that is missing',
    'refused, with list and line, and what is there',
)
def test_what_a_list_names_and_is_not_there_is_named(voc):
    cfg, path = voc
    root = path.parents[2]
    (root / 'JPEGImages/b.jpg').rename(root / 'JPEGImages/b.JPG')
    (root / 'Annotations/c.xml').unlink()
    first, second = check(cfg, TRAIN)
    assert first == (
        f'{path}: line 3: {root}/Annotations/c.xml is missing; its folder holds 3 .xml: restore '
        'it, or correct the list, or data_prefix in the config'
    )
    assert second.startswith(
        f"{path}: line 2: {root}/JPEGImages/b.jpg is missing; there is 'b.JPG': "
    )
    assert second.endswith('mmdet reads .jpg alone')


@pytest.mark.parametrize('name', ['a' * 300, 'a\0b', '/' * 5000])
@pytest.mark.input_fault(
    'Lists and folders',
    'a name that no file can have, such as one of 300 letters',
    'refused, with list and line',
)
def test_names_that_no_file_can_have(voc, name):
    cfg, path = voc
    path.write_text(f'{name}\n{path.read_text()}')
    problems = check(cfg, TRAIN)
    assert problems and all(line.startswith(f'{path}: line 1') for line in problems)


@pytest.mark.input_fault(
    'Missing files',
    'images of VOC that are no `.jpg`',
    'refused, with what the folder holds',
)
def test_all_images_of_another_suffix_are_one_problem(voc):
    cfg, path = voc
    images = path.parents[2] / 'JPEGImages'
    for image in list(images.iterdir()):
        image.rename(image.with_suffix('.png'))
    (problem,) = check(cfg, TRAIN)
    assert problem.startswith(
        f'{path}: line 1: {images}/boat 1.jpg is missing, like 3 more of 4 files; its folder '
        'holds 4 .png: '
    )


def test_boxes_without_area_need_a_pipeline_that_drops_them(voc):
    cfg, path = voc
    xml = path.parents[2] / 'Annotations/b.xml'
    xml.write_text(f'<annotation>{box(2, 2, 2, 20, "RBC")}</annotation>')
    assert check(cfg, TRAIN) == []
    dataset = cfg.train_dataloader.dataset
    dataset.pipeline = [t for t in dataset.pipeline if t.type != 'FilterAnnotations']
    (problem,) = check(cfg, TRAIN)
    assert problem.startswith(f'{xml}: object 1: RBC: box [2, 2, 2, 20] has no area')


def test_difficult_objects_alone_teach_nothing(voc):
    cfg, path = voc
    for xml in path.parents[2].glob('Annotations/*'):
        difficult = box(2, 2, 20, 20, 'RBC', '<difficult>1</difficult>')
        xml.write_text(f'<annotation>{difficult}</annotation>')
    (problem,) = check(cfg, TRAIN)
    assert problem.startswith(f'{path}: nothing to learn: ') and '(4 boxes, 4 difficult)' in problem


def test_a_voc_dataset_without_data_prefix_is_named(voc):
    cfg, path = voc
    cfg.train_dataloader.dataset.pop('data_prefix')
    (problem,) = check(cfg, TRAIN)
    assert problem.endswith("VOCDataset wants data_prefix=dict(sub_data_root='')")
