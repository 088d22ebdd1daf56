"""The images that a file in COCO's format lists: there, and of the size that it says."""

import pytest
from PIL import Image

from helpers.annotations import CLASSES, coco_file, edit
from mmca.checks import coco, kept
from mmca.checks.coco import check_coco


def draw(folder, name, size=(40, 30), **options):
    Image.new('RGB', size).save(folder / name, **options)


@pytest.mark.input_fault(
    'Missing files',
    'a missing image of COCO',
    'refused, with what is there instead',
)
def test_one_missing_image_is_named_with_what_is_there(tmp_path):
    path = coco_file(tmp_path / 'a.json')
    for name in ('9.jpg', '25.jpg', '139.JPG'):
        draw(tmp_path, name)
    assert check_coco(path, CLASSES, tmp_path).problems == [
        f"{path}: image 139: {tmp_path}/139.jpg is missing; there is '139.JPG': restore it, or "
        'correct file_name, or data_prefix in the config'
    ]


def test_many_missing_images_are_one_problem(tmp_path):
    def change(content):
        content['images'] *= 2
        for number, item in enumerate(content['images']):
            content['images'][number] = {**item, 'id': number, 'file_name': f'{number}.jpg'}
        content['annotations'] = []

    path = coco_file(tmp_path / 'a.json', change)
    images = tmp_path / 'images'
    images.mkdir()
    for name in ('a.png', 'b.png', 'c.bmp', 'd'):
        (images / name).touch()
    assert check_coco(path, CLASSES, images).problems == [
        f'{path}: image 0: {images}/0.jpg is missing, like 5 more of 6 files; its folder holds 2 '
        '.png, 1 .bmp, 1 without suffix: restore it, or correct file_name, or data_prefix in the '
        'config'
    ]
    (problem,) = check_coco(path, CLASSES, tmp_path / 'nowhere').problems
    assert f'{tmp_path}/nowhere is no folder' in problem


@pytest.mark.parametrize('name', ['\0.jpg', '\ud800.jpg', 'a' * 5000])
def test_a_name_that_no_file_can_have_is_missing(tmp_path, name):
    path = coco_file(tmp_path / 'a.json', edit('images', 0, file_name=name))
    draw(tmp_path, '9.jpg'), draw(tmp_path, '25.jpg')
    (problem,) = check_coco(path, CLASSES, tmp_path).problems
    assert problem.startswith(f'{path}: image 139: ') and ' is missing; ' in problem


@pytest.mark.input_fault(
    'COCO annotations',
    'width and height that are not those of the image',
    'refused',
)
def test_image_sizes_that_are_not_the_files(tmp_path):
    path = coco_file(tmp_path / 'a.json')
    draw(tmp_path, '139.jpg', (80, 60)), draw(tmp_path, '9.jpg'), draw(tmp_path, '25.jpg')
    assert check_coco(path, CLASSES, tmp_path).problems == [
        f'{path}: image 139: the annotations are of 40x30 pixels, but {tmp_path}/139.jpg loads as '
        '80x60: restore the image, or scale size and boxes to it'
    ]


@pytest.mark.input_fault(
    'COCO annotations',
    'a photo that EXIF turns, annotated as stored',
    'refused',
)
def test_a_photo_that_exif_turns_has_the_size_that_it_loads_with(tmp_path):
    from mmca.datasets.transforms import LoadImageFromFile

    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ('139.jpg', '9.jpg', '25.jpg'):
        draw(tmp_path, name, exif=exif)
    loaded = LoadImageFromFile()(dict(img_path=str(tmp_path / '9.jpg')))
    assert loaded['img_shape'] == (40, 30)  # height, width
    path = coco_file(tmp_path / 'a.json', edit('images', 1, width=30, height=40))
    first, second = check_coco(path, CLASSES, tmp_path).problems
    assert first == (
        f'{path}: image 139: {tmp_path}/139.jpg is stored as 40x30 pixels, but its EXIF turns it '
        'to 30x40 when it is loaded: where the boxes lie as it is stored, remove the orientation '
        'from the file; where they lie as it is shown, give 30x40'
    )
    assert second.startswith(f'{path}: image 25: ')
    (problem,) = check_coco(path, CLASSES, tmp_path, exif=False).problems
    assert 'image 9: the annotations are of 30x40 pixels' in problem


def test_a_check_that_found_nothing_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(kept, '_WORTH_KEEPING', 0)
    path, images = coco_file(tmp_path / 'a.json'), tmp_path / 'images'
    images.mkdir()
    for number in (139, 9, 25):
        Image.new('RGB', (40, 30)).save(images / f'{number}.jpg')
    first = check_coco(path, CLASSES, images)
    assert first.problems == []
    read = []
    original = coco._read
    monkeypatch.setattr(coco, '_read', lambda path: read.append(path) or original(path))
    assert check_coco(path, CLASSES, images) == first
    assert read == []
    # Other arguments, other images, other annotations.
    assert check_coco(path, CLASSES[:1], images).problems
    Image.new('RGB', (41, 30)).save(images / '9.jpg')
    assert 'loads as 41x30' in check_coco(path, CLASSES, images).problems[0]
    assert 'loads as 41x30' in check_coco(path, CLASSES, images).problems[0]
    assert len(read) == 3
    Image.new('RGB', (40, 30)).save(images / '9.jpg')
    coco_file(path, edit('annotations', 1, area=0))
    assert 'area is 0' in check_coco(path, CLASSES, images).problems[0]


@pytest.mark.parametrize('name', ['.', '/', 'sub'])
@pytest.mark.input_fault(
    'COCO annotations', 'a `file_name` that is a folder, or written with backslashes', 'refused'
)
def test_a_name_that_is_a_folder(tmp_path, name):
    (tmp_path / 'sub').mkdir()
    path = coco_file(tmp_path / 'a.json', edit('images', 0, file_name=name))
    draw(tmp_path, '9.jpg'), draw(tmp_path, '25.jpg')
    (problem,) = check_coco(path, CLASSES, tmp_path).problems
    assert problem == (
        f'{path}: image 139: {tmp_path / name} is a folder: restore it, or correct file_name, or '
        'data_prefix in the config'
    )


def test_a_name_with_the_separators_of_windows(tmp_path):
    path = coco_file(tmp_path / 'a.json', edit('images', 0, file_name='sub\\139.jpg'))
    draw(tmp_path, '9.jpg'), draw(tmp_path, '25.jpg')
    (problem,) = check_coco(path, CLASSES, tmp_path).problems
    assert problem.endswith(': write file_name with / in place of \\')


@pytest.mark.input_fault(
    'COCO annotations',
    'two images of one `file_name`',
    'refused: each lacks the boxes of the other',
)
def test_two_images_of_one_file(tmp_path):
    path = coco_file(tmp_path / 'a.json', edit('images', 1, file_name='139.jpg'))
    draw(tmp_path, '139.jpg'), draw(tmp_path, '25.jpg')
    assert check_coco(path, CLASSES, tmp_path).problems == [
        f'{path}: image 9: its file, 139.jpg, is that of image 139, too: either would lack the '
        'boxes of the other; make one of them'
    ]


def test_absolute_names_are_read(tmp_path):
    path = coco_file(tmp_path / 'a.json', edit('images', 0, file_name=f'{tmp_path}/x/139.jpg'))
    (tmp_path / 'x').mkdir()
    draw(tmp_path, 'x/139.jpg'), draw(tmp_path, '9.jpg'), draw(tmp_path, '25.jpg')
    assert check_coco(path, CLASSES, tmp_path).problems == []
