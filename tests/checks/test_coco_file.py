"""A file in COCO's format: its encoding, its lists, its categories and images."""

import json

import pytest

from helpers.annotations import CLASSES, coco_file, edit, remove
from mmca.checks.coco import check_coco


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        (edit('images', 1, id=139), 'image 139: another image has the same id'),
        (edit('images', 2, id=2.5), 'image 2.5: an id is a whole number'),
        (edit('images', 2, id=[]), 'image []: an id is a whole number'),
        (
            edit('images', 2, id='25'),
            "1 of 3 image ids are text, as '25': give whole numbers",
        ),
        (remove('images', 1, 'file_name'), 'image 9: file_name is None'),
        (edit('images', 1, file_name=7), 'image 9: file_name is 7'),
        (edit('images', 1, width=0), 'image 9: width and height are (0, 30)'),
        (edit('images', 1, height='30'), "image 9: width and height are (40, '30')"),
        (
            edit('categories', 2, name='Dog'),
            'the categories lack dog of the classes in the config, metainfo; there are cat, '
            'traffic light, Dog',
        ),
        (
            edit('categories', 2, name='cat'),
            "two categories have the name 'cat': mmdet mixes them up",
        ),
        (edit('categories', 2, id=17), 'two categories have the id 17: mmdet mixes them up'),
        (
            edit('categories', 2, id='18'),
            "category '18', 'dog': an id is a whole number, a name text",
        ),
        (
            remove('categories', 2, 'name'),
            'category 18, None: an id is a whole number, a name text',
        ),
        (
            lambda content: content['categories'].reverse(),
            'the categories are not in the order cat, traffic light, dog: mmdet mixes them up; '
            'sort them, or the classes in the config',
        ),
        (remove('annotations', 1, 'id'), "element 1 of 'annotations' (counted from 0) has no id"),
        (
            lambda content: content['images'].append(3),
            "element 3 of 'images' (counted from 0) has no id",
        ),
        (
            lambda content: content.update(images={'id': 1}),
            "not in COCO's format, it has no list 'images'",
        ),
        (
            lambda content: content.pop('images'),
            "not in COCO's format, it has no list 'images'",
        ),
        (lambda content: content.update(images=[], annotations=[]), 'lists no images'),
    ],
)
@pytest.mark.input_fault(
    'COCO annotations',
    'categories in another order than the classes, twice, or missing',
    'refused',
)
@pytest.mark.input_fault(
    'COCO annotations',
    'lists that are missing or empty, images without size or name',
    'refused',
)
def test_file(tmp_path, change, problem):
    path = coco_file(tmp_path / 'a.json', change)
    assert check_coco(path, CLASSES).problems[0] == f'{path}: {problem}'


def test_image_ids_may_all_be_text(tmp_path):
    def change(content):
        for item in content['images']:
            item['id'] = str(item['id'])
        for item in content['annotations']:
            item['image_id'] = str(item['image_id'])

    assert check_coco(coco_file(tmp_path / 'a.json', change), CLASSES).problems == []


def test_more_categories_than_classes_are_allowed_without_annotations(tmp_path):
    def change(content):
        content['categories'].insert(1, {'id': 1, 'name': 'person'})

    assert check_coco(coco_file(tmp_path / 'a.json', change), CLASSES).problems == []


@pytest.mark.input_fault(
    'COCO annotations',
    'a file that is missing, cut off or no JSON',
    'refused',
)
def test_unreadable(tmp_path):
    path = tmp_path / 'a.json'
    assert check_coco(path, CLASSES).problems == [f'{path}: missing']
    whole = coco_file(path).read_text()
    path.write_text(whole[:300])
    (problem,) = check_coco(path, CLASSES).problems
    assert problem.startswith(f'{path}: not a whole JSON file (')
    path.write_text('[]')  # as results are stored
    (problem,) = check_coco(path, CLASSES).problems
    assert problem == f"{path}: not in COCO's format, it has no list 'categories'"
    path.write_text('[' * 100_000)
    (problem,) = check_coco(path, CLASSES).problems
    assert problem.startswith(f'{path}: not a whole JSON file (')
    (problem,) = check_coco(tmp_path, CLASSES).problems
    assert problem == f'{tmp_path}: cannot be read (Is a directory)'


@pytest.mark.parametrize(
    ('encoding', 'problem'),
    [
        ('utf-8-sig', 'begins with a byte order mark, which COCO readers refuse: save it as UTF-8'),
        ('utf-16', 'not UTF-8 (invalid start byte at byte 0): save it as UTF-8'),
        ('latin-1', 'not UTF-8 (invalid continuation byte at byte '),
    ],
)
@pytest.mark.input_fault(
    'COCO annotations',
    'a byte order mark, UTF-16',
    'refused: save it as UTF-8',
)
def test_encodings_that_json_knows_but_mmdet_does_not_read(tmp_path, encoding, problem):
    path = coco_file(tmp_path / 'a.json', edit('images', 1, file_name='é.jpg'))
    text = json.dumps(json.loads(path.read_text()), ensure_ascii=False)
    path.write_text(text, encoding=encoding)
    (line,) = check_coco(path, CLASSES).problems
    assert line.startswith(f'{path}: {problem}')
    path.write_text(text, encoding='utf-8')
    assert check_coco(path, CLASSES).problems == []
