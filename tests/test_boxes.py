"""Checking box annotations: what is wrong is named, what a training can cope with is counted."""

import json

import pytest

from mmca.dataprep.boxes import check_coco, check_voc_xml, describe

CLASSES = ('cat', 'traffic light', 'dog')


def coco_file(path, change=None):
    """Three images of 40x30 pixels with two boxes, the ids in no order."""
    content = {
        'categories': [{'id': 17, 'name': 'cat'}, {'id': 3, 'name': 'traffic light'}],
        'images': [
            {'id': number, 'file_name': f'{number}.jpg', 'width': 40, 'height': 30}
            for number in (139, 9, 25)
        ],
        'annotations': [
            {'id': 1001, 'image_id': 9, 'category_id': 3, 'bbox': [1.5, 2, 10, 20.25], 'area': 99},
            {'id': 77, 'image_id': 139, 'category_id': 17, 'bbox': [0, 0, 40, 30], 'area': 0.5},
        ],
    }
    content['categories'].append({'id': 18, 'name': 'dog'})
    if change:
        change(content)
    path.write_text(json.dumps(content))
    return path


def test_coco_legal(tmp_path):
    def change(content):
        first, second = content['annotations']
        first.update(id='a')  # an id may be text
        more = [
            {'bbox': [5, 5, 0, 4]},
            {'bbox': [5, 5, 4, -1]},
            {'bbox': [5, 5, 4, 4], 'area': 0},
            {'bbox': [-3, 5, 4, 4]},
            {'bbox': [100, 100, 4, 4]},
            {'bbox': [35, 25, 5.01, 5.01]},  # rounded, not outside
            {'iscrowd': 1},
        ]
        content['annotations'] += [{**second, 'id': i, **new} for i, new in enumerate(more)]

    checked = check_coco(coco_file(tmp_path / 'a.json', change), CLASSES)
    assert checked.problems == []
    assert describe(checked.counts) == (
        '9 boxes (1 crowd, 3 without area, 2 reaching outside their image), '
        '1 images without objects'
    )
    assert checked.counts['images'] == 3


def edit(part, index, **values):
    return lambda content: content[part][index].update(values)


def remove(part, index, key):
    return lambda content: content[part][index].pop(key)


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        (edit('annotations', 1, category_id=91), 'category id 91 is not one of the 3 classes'),
        (remove('annotations', 1, 'category_id'), 'category id None is not one of the 3 classes'),
        (edit('annotations', 1, category_id=[17]), 'category id [17] is not one of the 3 classes'),
        (edit('annotations', 1, image_id=10), 'image id 10 is not among the images'),
        (edit('annotations', 1, id=1001), 'another annotation has the same id'),
        (edit('annotations', 1, bbox=[1, 2, 3]), 'bbox [1, 2, 3] is not four finite numbers'),
        (
            edit('annotations', 1, bbox=[1, 2, float('nan'), 4]),
            'bbox [1, 2, nan, 4] is not four finite numbers',
        ),
        (
            edit('annotations', 1, bbox=[1, float('inf'), 3, 4]),
            'bbox [1, inf, 3, 4] is not four finite numbers',
        ),
        (
            edit('annotations', 1, bbox=[1, 2, '3', 4]),
            "bbox [1, 2, '3', 4] is not four finite numbers",
        ),
        (remove('annotations', 1, 'bbox'), 'bbox None is not four finite numbers'),
        (remove('annotations', 1, 'area'), 'area None is not a finite number'),
    ],
)
def test_coco_annotation(tmp_path, change, problem):
    path = coco_file(tmp_path / 'a.json', change)
    checked = check_coco(path, CLASSES)
    number = 1001 if 'same id' in problem else 77
    assert checked.problems == [f'{path}: annotation {number}: {problem}']
    assert checked.counts['boxes'] == 1


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        (edit('images', 1, id=139), 'image 139: another image has the same id'),
        (remove('images', 1, 'file_name'), 'image 9: file_name is None'),
        (edit('images', 1, width=0), 'image 9: width and height are (0, 30)'),
        (edit('categories', 2, name='fox'), 'the categories lack dog'),
        (
            lambda content: content['categories'].reverse(),
            'the categories are not in the order cat, traffic light, dog: mmdet mixes them up',
        ),
        (remove('annotations', 1, 'id'), "element 1 of 'annotations' (counted from 0) has no id"),
        (
            lambda content: content.pop('images'),
            "not in COCO's format, it has no list 'images'",
        ),
    ],
)
def test_coco_file(tmp_path, change, problem):
    path = coco_file(tmp_path / 'a.json', change)
    assert check_coco(path, CLASSES).problems[0] == f'{path}: {problem}'


def test_coco_more_categories_than_classes_are_allowed_without_annotations(tmp_path):
    def change(content):
        content['categories'].insert(1, {'id': 1, 'name': 'person'})

    assert check_coco(coco_file(tmp_path / 'a.json', change), CLASSES).problems == []


def test_coco_unreadable(tmp_path):
    path = tmp_path / 'a.json'
    assert check_coco(path, CLASSES).problems == [f'{path}: missing']
    whole = coco_file(path).read_text()
    path.write_text(whole[:300])
    (problem,) = check_coco(path, CLASSES).problems
    assert problem.startswith(f'{path}: not a whole JSON file (')
    path.write_text('[]')  # as results are stored
    (problem,) = check_coco(path, CLASSES).problems
    assert problem == f"{path}: not in COCO's format, it has no list 'categories'"


def test_coco_missing_images(tmp_path):
    path = coco_file(tmp_path / 'a.json')
    for number in (9, 25):
        (tmp_path / f'{number}.jpg').write_bytes(b'')
    problem = f'{path}: image 139: {tmp_path}/139.jpg is missing'
    assert check_coco(path, CLASSES, tmp_path).problems == [problem]


# --- PASCAL VOC ------------------------------------------------------------------------------

SIZE = '<size><width>40</width><height>30</height><depth>3</depth></size>'


def box(x1, y1, x2, y2, name='cat', more=''):
    corners = f'<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>'
    return f'<object><name>{name}</name>{more}<bndbox>{corners}</bndbox></object>'


def voc_file(path, *objects, size=SIZE):
    path.write_text(f'<annotation>{size}{"".join(objects)}</annotation>')
    return path


def test_voc_legal(tmp_path):
    part = '<part><name>head</name><bndbox><xmin>3</xmin></bndbox></part>'  # a person's, in VOC
    paths = [
        voc_file(tmp_path / '1.xml', box(1, 1, 40, 30), box(5, 6, 9.5, 9, 'dog', part)),
        voc_file(tmp_path / '2.xml', box(5, 6, 5, 6), box(9, 6, 5, 8), box(0, 1, 5, 5)),
        voc_file(tmp_path / '3.xml', box(1, 1, 41, 30, more='<difficult>1</difficult>')),
        voc_file(tmp_path / '4.xml'),
        voc_file(tmp_path / '5.xml', box(500, 500, 600, 600), size=''),
    ]
    checked = check_voc_xml(paths, CLASSES)
    assert checked.problems == []
    assert describe(checked.counts) == (
        '7 boxes (2 without area, 2 reaching outside their image), 1 images without objects'
    )


@pytest.mark.parametrize(
    ('wrong', 'problem'),
    [
        (box(1, 1, 9, 9, 'Cat'), "class 'Cat' is not one of cat, traffic light, dog"),
        ('<object/>', 'class None is not one of cat, traffic light, dog'),
        (box(1, 1, 'nan', 9), "cat: box ['1', '1', 'nan', '9'] is not four finite numbers"),
        (box(1, '', 5, 9), "cat: box ['1', '', '5', '9'] is not four finite numbers"),
        (
            '<object><name>dog</name></object>',
            'dog: box [None, None, None, None] is not four finite numbers',
        ),
        (
            box(1, 1, 9, 9, more='<difficult>Unspecified</difficult>'),
            "cat: difficult is 'Unspecified', not 0 or 1",
        ),
    ],
)
def test_voc_object(tmp_path, wrong, problem):
    paths = [
        voc_file(tmp_path / '1.xml', box(1, 1, 9, 9)),
        voc_file(tmp_path / '2.xml', box(1, 1, 9, 9), wrong),
    ]
    checked = check_voc_xml(paths, CLASSES)
    assert checked.problems == [f'{paths[1]}: object 2: {problem}']
    assert checked.counts['boxes'] == 2


@pytest.mark.parametrize('width', ['0', '40.0', ''])
def test_voc_size(tmp_path, width):
    size = SIZE.replace('40', width)
    path = voc_file(tmp_path / '1.xml', size=size)
    problem = f'{path}: the width and height of its size are not whole pixels'
    assert check_voc_xml([path], CLASSES).problems == [problem]


def test_voc_unreadable(tmp_path):
    cut, gone = tmp_path / '1.xml', tmp_path / '2.xml'
    cut.write_text('<annotation><object>')
    first, second = check_voc_xml([cut, gone], CLASSES).problems
    assert first.startswith(f'{cut}: not a whole XML file (')
    assert second == f'{gone}: missing'
