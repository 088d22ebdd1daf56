"""Annotations in PASCAL VOC's format: what is wrong is named, what is legal is counted."""

import pytest
from PIL import Image

from helpers.annotations import CLASSES, SIZE, box, voc_file
from mmca.checks.findings import DIFFICULT, USABLE, describe
from mmca.checks.voc_xml import check_voc_xml


def check(*paths, **options):
    return check_voc_xml({path: path.with_suffix('.jpg') for path in paths}, CLASSES, **options)


def test_legal(tmp_path):
    part = '<part><name>head</name><bndbox><xmin>3</xmin></bndbox></part>'  # a person's, in VOC
    paths = [
        voc_file(tmp_path / '1.xml', box(1, 1, 40, 30), box(5, 6, 9.5, 9, 'dog', part)),
        voc_file(tmp_path / '2.xml', box(5, 6, 5, 6), box(0, 1, 5, 5)),
        voc_file(tmp_path / '3.xml', box(1, 1, 41, 30, more='<difficult>1</difficult>')),
        voc_file(tmp_path / '4.xml'),
        voc_file(tmp_path / '5.xml', box(500, 500, 600, 600), size=''),
    ]
    checked = check(*paths)
    assert checked.problems == []
    assert describe(checked.counts) == (
        '6 boxes (1 without area, 2 reaching outside their image), 1 images without objects'
    )
    assert (checked.counts[DIFFICULT], checked.counts[USABLE]) == (1, 4)
    assert check(*paths, least_side=31).counts[USABLE] == 1  # that of unknown size
    assert check(*paths, least_box=30).counts[USABLE] == 1


@pytest.mark.parametrize(
    ('wrong', 'problem'),
    [
        (
            box(1, 1, 9, 9, ' cat\n'),
            "class ' cat\\n' is not one of cat, traffic light, dog; remove the blanks around 'cat'",
        ),
        (
            box(1, 1, 9, 9, 'Dog'),
            "class 'Dog' is not one of cat, traffic light, dog; did you mean 'dog'?",
        ),
        ('<object/>', 'class None is not one of cat, traffic light, dog'),
        (box(1, 1, 'nan', 9), "cat: box ['1', '1', 'nan', '9'] is not four finite numbers"),
        (box(1, 1, '1e30', 9), "cat: box ['1', '1', '1e30', '9'] is not four finite numbers"),
        (box(1, '', 5, 9), "cat: box ['1', '', '5', '9'] is not four finite numbers"),
        (
            '<object><name>dog</name></object>',
            'dog: box [None, None, None, None] is not four finite numbers',
        ),
        (
            # mmdet looks into the first of several.
            '<object><name>dog</name><bndbox/><bndbox><xmin>1</xmin></bndbox></object>',
            'dog: box [None, None, None, None] is not four finite numbers',
        ),
        (
            box(1, 1, 9, 9, more='<difficult>Unspecified</difficult>'),
            "cat: difficult is 'Unspecified', not 0 or 1",
        ),
        (
            box(9, 6, 5, 8),
            'cat: box [9, 6, 5, 8] ends before it begins: give xmin, ymin, xmax, ymax',
        ),
        (
            box(41, 1, 50, 9),
            'cat: box [41, 1, 50, 9]: its box lies outside its image of 40x30 pixels',
        ),
        (
            box(-5, 1, 1, 9),
            'cat: box [-5, 1, 1, 9]: its box lies outside its image of 40x30 pixels',
        ),
    ],
)
@pytest.mark.input_fault(
    'VOC annotations',
    'unknown classes, boxes that are no numbers, swapped or outside',
    'refused',
)
def test_object(tmp_path, wrong, problem):
    paths = [
        voc_file(tmp_path / '1.xml', box(1, 1, 9, 9)),
        voc_file(tmp_path / '2.xml', box(1, 1, 9, 9), wrong),
    ]
    checked = check(*paths)
    assert checked.problems == [f'{paths[1]}: object 2: {problem}']
    assert checked.counts['images'] == 2


@pytest.mark.input_fault(
    'VOC annotations',
    'boxes without area',
    'refused where the pipeline does not drop them',
)
def test_a_box_without_area_needs_a_pipeline_that_drops_it(tmp_path):
    path = voc_file(tmp_path / '1.xml', box(1, 1, 9, 9), box(5.1, 6, 5.9, 9))
    assert check(path).problems == []
    assert check(path, flat_dropped=False).problems == [
        f'{path}: object 2: cat: box [5, 6, 5, 9] has no area in whole pixels, and an infinite '
        "loss: remove it, or add dict(type='FilterAnnotations', min_gt_bbox_wh=(0, 0)) to the "
        'train pipeline'
    ]


@pytest.mark.parametrize('width', ['0', '40.0', '', '-1', '9' * 99])
@pytest.mark.input_fault(
    'VOC annotations',
    'a size that is no pixels',
    'refused',
)
def test_size(tmp_path, width):
    path = voc_file(tmp_path / '1.xml', size=SIZE.replace('40', width))
    assert check(path).problems == [
        f'{path}: the width and height of its size are not whole pixels'
    ]


@pytest.mark.input_fault(
    'VOC annotations',
    'a size that is not that of the image',
    'refused',
)
def test_a_size_that_is_not_the_files(tmp_path):
    path = voc_file(tmp_path / '1.xml', box(1, 1, 9, 9))
    Image.new('RGB', (80, 60)).save(tmp_path / '1.jpg')
    assert check(path).problems == [
        f'{path}: the annotations are of 40x30 pixels, but {tmp_path}/1.jpg loads as 80x60: '
        'restore the image, or scale size and boxes to it'
    ]


def test_without_a_size_that_of_the_image_counts(tmp_path):
    path = voc_file(tmp_path / '1.xml', box(100, 1, 109, 9), size='')
    Image.new('RGB', (80, 60)).save(tmp_path / '1.jpg')
    (problem,) = check(path).problems
    assert problem.endswith('its box lies outside its image of 80x60 pixels')


@pytest.mark.input_fault(
    'VOC annotations',
    'a file that is empty or cut off',
    'refused',
)
def test_unreadable(tmp_path):
    cut, gone, empty = tmp_path / '1.xml', tmp_path / '2.xml', tmp_path / '3.xml'
    cut.write_text('<annotation><object>')
    empty.touch()
    first, second, third = check(cut, gone, empty).problems
    assert first.startswith(f'{cut}: not a whole XML file, or not in the encoding that it declares')
    assert second == f'{gone}: missing'
    assert third == f'{empty}: is empty: restore it'


@pytest.mark.parametrize(
    ('declared', 'encoding', 'legal'),
    [
        (None, 'utf-8', True),
        (None, 'utf-8-sig', True),
        ('latin-1', 'latin-1', True),
        ('utf-16', 'utf-16', True),
        ('windows-1252', 'windows-1252', True),
        (None, 'latin-1', False),
        ('utf-8', 'latin-1', False),
        ('utf-16', 'utf-8', False),
        ('gb2312', 'utf-8', False),
        ('klingon', 'utf-8', False),
    ],
)
@pytest.mark.input_fault(
    'VOC annotations',
    'encodings',
    'read as declared, else refused',
)
def test_encodings(tmp_path, declared, encoding, legal):
    path = voc_file(tmp_path / '1.xml', box(1, 1, 9, 9, more='<pose>é</pose>'))
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ''
    path.write_text(declaration + path.read_text(), encoding=encoding)
    problems = check(path).problems
    if legal:
        assert problems == []
    else:
        (problem,) = problems
        assert problem.startswith(f'{path}: ') and 'in the encoding that it declares' in problem


@pytest.mark.parametrize(
    ('content', 'named'),
    [
        (f'<annotation xmlns="http://x">{box(1, 1, 9, 9)}</annotation>', '{http://x}object'),
        (f'<annotation><objects>{box(1, 1, 9, 9)}</objects></annotation>', 'object'),
        (f'<annotation>{box(1, 1, 9, 9).replace("object>", "Object>")}</annotation>', 'Object'),
    ],
)
@pytest.mark.input_fault(
    'VOC annotations',
    'objects where mmdet does not look for them: with a namespace, in a list, in capitals',
    'refused',
)
def test_objects_that_would_not_be_read(tmp_path, content, named):
    path = tmp_path / '1.xml'
    path.write_text(content)
    assert check(path).problems == [
        f'{path}: 1 of 1 objects would not be read, as {named!r}: they have to be <object>, '
        'without a namespace (xmlns), directly below <annotation>'
    ]
